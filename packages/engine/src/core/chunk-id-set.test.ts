import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { ChunkIdSet } from './chunk-id-set.ts';

const idOf = (n: number): Uint8Array => new Uint8Array(createHash('sha256').update(String(n)).digest());

test('says of 5,000 ids which are there, in it or within longer bytes, and forgets them', () => {
  const set = new ChunkIdSet();
  for (let n = 0; n < 5000; n++) expect(set.add(idOf(n))).toBe(true);
  for (let n = 0; n < 5000; n++) expect(set.add(idOf(n))).toBe(false);
  expect(set.size).toBe(5000);
  const joined = Buffer.concat([idOf(4999), idOf(5000)]);
  expect([set.has(joined), set.has(joined, 32)]).toEqual([true, false]);
  set.clear();
  expect([set.size, set.has(idOf(0))]).toEqual([0, false]);
});

test('tells ids apart that differ in their last byte only', () => {
  const set = new ChunkIdSet();
  const id = idOf(1);
  set.add(id);
  id[31]! ^= 1;
  expect(set.has(id)).toBe(false);
  expect([set.add(id), set.size]).toEqual([true, 2]);
});
