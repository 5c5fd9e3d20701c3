import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { WorkerPool } from '../core/ports/worker-pool.ts';
import { cutIntoParts, PART_ENTRIES_MAX } from '../pipeline/folder-parts.ts';
import type { PipelineTasks } from '../pipeline/tasks.ts';
import { type CaptureFixture, captureFixturePool, openCaptureFixture } from '../testing/capture-fixture.ts';
import { temporaryFolder } from '../testing/store-fixture.ts';
import { partKey } from './earlier-rows.ts';

const COUNT = 150_000;
let pool: WorkerPool<PipelineTasks>;
let folder: { readonly path: string; remove(): void };
let fixture: CaptureFixture;
let tree: string;
let big: string;

beforeAll(() => {
  pool = captureFixturePool(2);
  folder = temporaryFolder();
  tree = join(folder.path, 'tree');
  big = join(tree, 'sub/big');
  fs.mkdirSync(big, { recursive: true });
  // Links of a few files: quick to make, and each is an entry of its own.
  for (let i = 0; i < COUNT; i++) fs.symlinkSync(`t${i % 10}`, join(big, `n${i}`));
  for (const i of [1, 60_000, 149_000]) fs.mkdirSync(join(big, `n${i}d`));
  fs.writeFileSync(join(big, 'n1d/inner'), 'inside');
  fs.writeFileSync(join(big, 'n77777f'), 'a file');
});
afterAll(async () => {
  await pool.close();
  execFileSync('rm', ['-rf', folder.path]);
});
beforeEach(async () => {
  fixture = await openCaptureFixture(join(folder.path, `data-${Math.random()}`), { pool });
});
afterEach(async () => {
  await fixture.close();
});

const root = () => ({ root: { name: 'tree', path: Buffer.from(tree) } });
const later = (hours = 1) => {
  const { clock } = fixture.deps;
  return { clock: { ...clock, nowNs: () => clock.nowNs() + BigInt(hours) * 3_600_000_000_000n } };
};

test('a folder in parts is captured, remembered, and changed part by part', async () => {
  const bigPath = Buffer.from('sub/big');
  const rowOf = (part: number) => fixture.store.index.folders.get('tree', partKey(bigPath, part));
  const first = await fixture.capture(root(), later());
  expect(first.files).toMatchObject({ new: COUNT + 2, failed: 0 });
  const entries = await fixture.entries(first);
  expect(entries.size).toBe(COUNT + 2 + 3 + 3);
  expect((await fixture.content(entries.get('sub/big/n1d/inner')!)).toString()).toBe('inside');
  const pages = entries.get('sub/big')!.pages!.length;
  let parts = 0;
  while (rowOf(parts) !== undefined) parts++;
  expect(parts).toBeGreaterThan(2);

  const same = await fixture.capture(root(), later(2));
  expect(same).toMatchObject({ treeUnchanged: true, bytes: { read: 0 }, files: { unchanged: COUNT + 2 } });

  fs.writeFileSync(join(big, 'n77777f'), 'a changed file');
  fs.writeFileSync(join(big, 'n1d/inner'), 'changed inside');
  fs.unlinkSync(join(big, 'n100000'));
  const changed = await fixture.capture(root(), later(3));
  expect(changed.files).toEqual({ new: 0, changed: 2, unchanged: COUNT - 1, removed: 1, failed: 0 });
  expect(changed.chunks.new).toBeLessThan(pages);
  const after = await fixture.entries(changed);
  expect(after.size).toBe(entries.size - 1);
  expect((await fixture.content(after.get('sub/big/n1d/inner')!)).toString()).toBe('changed inside');

  // A capture that knows nothing finds the same tree.
  fixture.store.index.folders.clear();
  const blank = await openCaptureFixture(join(folder.path, 'blank'), { pool });
  const other = await blank.capture(root(), later(3));
  expect(blank.snapshot(other).entry).toEqual(fixture.snapshot(changed).entry);
  await blank.close();

  // And one that knows only the last snapshot, in more pages than one row takes, knows what is new.
  fs.symlinkSync('x', join(big, 'n100000'));
  const recalled = await fixture.capture(root(), later(4));
  expect(recalled.files).toEqual({ new: 1, changed: 0, unchanged: COUNT + 1, removed: 0, failed: 0 });
});

test('the parts of a folder that shrank to one are forgotten, and those of one that is gone', async () => {
  await fixture.capture(root(), later());
  fs.renameSync(big, join(folder.path, 'aside'));
  fs.mkdirSync(big);
  fs.renameSync(join(folder.path, 'aside/n1'), join(big, 'n1'));
  const input = { ...root(), maxDelete: { percent: 100 } };
  const shrunk = await fixture.capture(input, later(2));
  expect(shrunk.files).toMatchObject({ unchanged: 1, removed: COUNT + 1 });
  const rows = (part: number) => fixture.store.index.folders.get('tree', partKey(Buffer.from('sub/big'), part));
  expect(rows(0)).toBeDefined();
  expect(rows(1)).toBeUndefined();
  expect((await fixture.capture(root(), later(3))).treeUnchanged).toBe(true);
  fs.rmSync(big, { recursive: true });
  fs.renameSync(join(folder.path, 'aside'), big);
  await fixture.capture(root(), later(4));
  expect(rows(1)).toBeDefined();
  fs.renameSync(big, join(folder.path, 'aside'));
  await fixture.capture({ ...input, acceptEmpty: true }, later(5));
  expect(rows(0)).toBeUndefined();
  expect(rows(1)).toBeUndefined();
  fs.renameSync(join(folder.path, 'aside'), big);
});

test('unfinished snapshots of a folder in parts are whole trees', async () => {
  const report = await fixture.capture({ ...root(), unfinishedEveryMs: 300 }, later());
  expect((await fixture.entries(report)).size).toBe(fixture.snapshot(report).stats.dirs + COUNT + 1 + 1);
});

test('parts depend on the names alone, and a new name moves one boundary at most', () => {
  const names = Array.from({ length: 300_000 }, (_, i) => Buffer.from(`name ${i}`)).sort(Buffer.compare);
  const parts = cutIntoParts(names);
  expect(parts.length).toBeGreaterThan(300_000 / PART_ENTRIES_MAX);
  expect(parts[0]!.after).toBeUndefined();
  expect(parts.at(-1)!.upTo).toBeUndefined();
  for (let i = 1; i < parts.length; i++) expect(parts[i]!.after).toEqual(parts[i - 1]!.upTo);
  const ends = new Set(parts.map(({ upTo }) => String(upTo)));
  const more = cutIntoParts([...names, Buffer.from('name 15x')].sort(Buffer.compare));
  expect(more.filter(({ upTo }) => !ends.has(String(upTo))).length).toBeLessThan(2);
  expect(cutIntoParts([])).toEqual([{ after: undefined, upTo: undefined }]);
});
