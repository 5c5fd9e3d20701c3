import fs from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { toHex } from '../core/ids.ts';
import { refsOf } from '../testing/refs-of.ts';
import { setUpRestore } from '../testing/restore-setup.ts';
import type { Entry } from '../tree/entry.ts';
import { applyRestore } from './apply-restore.ts';
import { planRestore } from './plan-restore.ts';

const { fixture, place, deps, inputFor, restore } = setUpRestore('parts');

function names(path = place('out')): string[] {
  return (fs.readdirSync(path, { recursive: true }) as string[]).sort();
}

function sample(): Entry {
  const f = fixture();
  return f.dir('', [
    f.dir('docs', [f.file('a.txt', 'a'), f.file('b.log', 'b'), f.dir('deep', [f.file('c.txt', 'c')])], { mode: 0o750 }),
    f.dir('src', [f.file('main.ts', 'm'), f.dir('empty', [])]),
    f.file('top.txt', 't'),
  ]);
}

test('a subpath, one file, and a missing path', async () => {
  const root = sample();
  const sources = [fixture().source('local')];
  const to = (name: string) => Buffer.from(place(name));
  const sub = await restore(
    inputFor(root, { subpath: Buffer.from('/docs/./deep/'), target: to('sub') }),
    deps(sources),
  );
  expect(sub.files.restored).toBe(1);
  expect(names(place('sub'))).toEqual(['c.txt']);
  const file = await restore(inputFor(root, { subpath: Buffer.from('docs/a.txt'), target: to('file') }), deps(sources));
  expect(file.files.restored).toBe(1);
  expect(names(place('file'))).toEqual(['a.txt']);
  const bare = await restore(inputFor(fixture().file('', 'alone'), { target: to('bare') }), deps(sources));
  expect(bare.files.restored).toBe(1);
  expect(names(place('bare'))).toEqual(['test']);
  for (const subpath of ['docs/nothing', 'top.txt/below']) {
    await expect(restore(inputFor(root, { subpath: Buffer.from(subpath) }), deps(sources))).rejects.toMatchObject({
      code: 'E_NOT_FOUND',
    });
  }
  await expect(restore(inputFor(root, { subpath: Buffer.from('docs/../src') }), deps(sources))).rejects.toMatchObject({
    code: 'E_USAGE',
  });
});

test('include and exclude, with only the folders that lead to something', async () => {
  const root = sample();
  const sources = [fixture().source('local')];
  const some = inputFor(root, { include: ['*.txt'], exclude: ['deep'] });
  expect((await restore(some, deps(sources))).failures).toEqual([]);
  expect(names()).toEqual(['docs', 'docs/a.txt', 'top.txt']);
  expect(fs.statSync(place('out/docs')).mode & 0o777).toBe(0o750);
  const folder = inputFor(root, { include: ['src'], target: Buffer.from(place('out2')) });
  expect((await restore(folder, deps(sources))).failures).toEqual([]);
  expect(names(place('out2'))).toEqual(['src', 'src/empty', 'src/main.ts']);
  fs.mkdirSync(place('out3'));
  const inside = inputFor(root, { include: ['c.txt'], target: Buffer.from(place('out3')) });
  expect((await restore(inside, deps(sources))).failures).toEqual([]);
  expect(names(place('out3'))).toEqual(['docs', 'docs/deep', 'docs/deep/c.txt']);
  expect(fs.statSync(place('out3/docs')).mode & 0o777).toBe(0o750);
});

test('an estimate counts bytes, requests and what is missing, and writes nothing', async () => {
  const f = fixture();
  const big = f.file(
    'big',
    Buffer.alloc(3_000_000).map((_, i) => (i * 31) >> 3),
    { chunkBytes: 100_000 },
  );
  const root = f.dir('', [big, f.file('copy', 'same'), f.file('copy2', 'same')]);
  const local = f.localSource(place('packs'));
  const plan = await planRestore(inputFor(root, { estimate: true }), deps([local]));
  expect(plan.estimate).toMatchObject({
    entries: 3,
    files: 3,
    bytes: 3_000_008,
    missingChunks: 0,
    requests: { local: 1, peers: 0 },
  });
  expect(plan.estimate!.bytesFrom.local).toBeGreaterThan(1000);
  expect(fs.existsSync(place('out'))).toBe(false);
  const hex = toHex(refsOf(big)[3]!.id);
  const part = f.source('s3', 'bucket', { has: (id) => id !== hex });
  const missing = await planRestore(inputFor(root, { estimate: true }), deps([part]));
  expect(missing.estimate).toMatchObject({ missingChunks: 1 });
  expect(Buffer.from(missing.estimate!.missingFiles[0]!).toString()).toBe('big');
  await expect(planRestore(inputFor(root, { from: 'peers' }), deps([local]))).rejects.toMatchObject({
    code: 'E_USAGE',
  });
});

test('a thousand levels and paths beyond 4096 bytes', async () => {
  const f = fixture();
  let entry = f.dir('d'.repeat(20), [f.file('bottom', 'here'), f.file('large', Buffer.alloc(5_000_000, 1))]);
  for (let i = 0; i < 1000; i++) entry = f.dir('d'.repeat(20), [entry], { mtimeNs: BigInt(i) });
  const report = await restore(inputFor(f.dir('', [entry])), deps([f.source('local')]));
  expect(report.failures).toEqual([]);
  expect(report.files.restored).toBe(2);
  const here = process.cwd();
  process.chdir(place('out'));
  try {
    for (let i = 0; i <= 1000; i++) process.chdir('d'.repeat(20));
    expect(fs.readFileSync('bottom', 'utf8')).toBe('here');
    expect(fs.statSync('large').size).toBe(5_000_000);
  } finally {
    process.chdir(here);
  }
});

test('trees larger than a window come back whole, with hard links across windows', async () => {
  const f = fixture();
  const hardLink = new Uint8Array(16).fill(9);
  const folders = Array.from({ length: 30 }, (_, d) =>
    f.dir(`d${d}`, [
      ...Array.from({ length: 600 }, (_, i) => f.file(`f${i}`, `${d}/${i}`)),
      f.file('linked', 'one content', { hardLink }),
    ]),
  );
  const report = await restore(inputFor(f.dir('', folders)), deps([f.localSource(place('packs'))]));
  expect(report.failures).toEqual([]);
  expect(report.files.restored).toBe(30 * 601);
  expect(fs.statSync(place('out/d0/linked')).nlink).toBe(30);
  for (const [d, i] of [
    [0, 0],
    [17, 599],
    [29, 3],
  ]) {
    expect(fs.readFileSync(join(place('out'), `d${d}`, `f${i}`), 'utf8')).toBe(`${d}/${i}`);
  }
  expect(fs.statSync(place('out/d29'), { bigint: true }).mtimeNs).toBe(1_600_000_000_123_456_789n);
});

test('an abort ends the restore, and the next run goes on', async () => {
  const f = fixture();
  const root = f.dir(
    '',
    Array.from({ length: 20 }, (_, i) => f.file(`f${i}`, Buffer.alloc(2_000_000, i + 1), { chunkBytes: 500_000 })),
  );
  const stop = new AbortController();
  let fetched = 0;
  const source = f.source('peers', 'dc-a', {
    fetch: () => {
      if (++fetched === 10) stop.abort();
      stop.signal.throwIfAborted();
    },
  });
  const stopped = deps([source], { signal: stop.signal });
  await expect(restore(inputFor(root), stopped)).rejects.toMatchObject({ code: 'E_INTERRUPTED' });
  expect(fs.existsSync(place('out'))).toBe(false);
  const again = deps([f.source('peers', 'dc-a')]);
  const plan = await planRestore(inputFor(root), again);
  expect(plan.target.resume).toBe(true);
  const report = await applyRestore(plan, again);
  expect(report.failures).toEqual([]);
  expect(report.files.restored + report.files.skipped).toBe(20);
  expect(names()).toHaveLength(20);
  expect(fs.readdirSync(place('')).sort()).toEqual(['out']);
});
