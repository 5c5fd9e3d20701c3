import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createFakeClock } from '../testing/fake-clock.ts';
import { type BucketIndexTable, bucketIndex } from './bucket-index.ts';
import { type Db, openDatabase } from './database.ts';

const TARGET = 'store:cold';
let folder: string;
let db: Db;
let bucket: BucketIndexTable;
const place = (id: Uint8Array) => [{ shard: 2, seq: 10 + id[0]!, position: id[1]! }];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bucket-index-'));
  db = openDatabase(join(folder, 'index.sqlite'), 'cd'.repeat(16), createFakeClock()).db;
  bucket = bucketIndex(db, place);
});
afterEach(() => {
  db.close();
  rmSync(folder, { recursive: true });
});

const id = (seq: number, position: number): Uint8Array => Uint8Array.from([seq - 10, position, ...Array(30).fill(7)]);

it('keeps what a bucket lacks as bits, page by page, until it has them', () => {
  bucket.noteLacking(
    TARGET,
    [
      { shard: 1, seq: 5, positions: [0, 4095] },
      { shard: 2, seq: 7, positions: [3] },
    ],
    9,
  );
  expect(bucket.comparedUntil(TARGET)).toBe(9);
  expect(bucket.lacking(TARGET, 0, 1)).toEqual([{ shard: 1, seq: 5, positions: [0, 4095] }]);
  expect(bucket.lacking(TARGET, 5, 9)).toEqual([{ shard: 2, seq: 7, positions: [3] }]);
  expect(bucket.lackingCount(TARGET)).toBe(3);
  bucket.clearLacking(TARGET, [{ shard: 1, seq: 5, positions: [4095, 17] }]);
  expect(bucket.lacking(TARGET, 0, 1)).toEqual([{ shard: 1, seq: 5, positions: [0] }]);
  expect(bucket.firstLacking(TARGET, 1)).toBe(5);
  bucket.clearLacking(TARGET, [{ shard: 1, seq: 5, positions: [0] }]);
  expect(bucket.firstLacking(TARGET, 1)).toBeUndefined();
  expect(bucket.firstLacking(TARGET, 2)).toBe(7);
  expect(bucket.comparedUntil('store-meta:cold')).toBe(0);
});

it('hears of a copy that went, for every target in that store and no other', () => {
  bucket.noteLacking(TARGET, [], 20);
  bucket.noteLacking('store-meta:cold', [], 20);
  bucket.noteLacking('store:other', [], 20);
  bucket.watcher.lost([id(12, 9)], 'cold', 'absent');
  bucket.watcher.lost([id(13, 0)], '', 'absent');
  bucket.watcher.lost([id(14, 0)], 'cold', 'unreadable');
  expect(bucket.lacking(TARGET, 0, 9)).toEqual([{ shard: 2, seq: 12, positions: [9] }]);
  expect(bucket.lackingCount('store-meta:cold')).toBe(1);
  expect(bucket.lackingCount('store:other')).toBe(0);
});

it('knows verified segments, and forgets all of a bucket at once', () => {
  const one = { incarnation: 1, first: 1, last: 9, sha256: 'ab'.repeat(8), bytes: 900 };
  const two = { ...one, first: 10, last: 12 };
  bucket.addSegments(TARGET, [two, one]);
  expect(bucket.segments(TARGET)).toEqual([one, two]);
  bucket.removeSegments(TARGET, [one]);
  expect(bucket.segments(TARGET)).toEqual([two]);
  bucket.noteLacking(TARGET, [{ shard: 1, seq: 5, positions: [1] }], 9);
  bucket.forget(TARGET);
  expect([bucket.segments(TARGET), bucket.comparedUntil(TARGET), bucket.lackingCount(TARGET)]).toEqual([[], 0, 0]);
});
