import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { SealedSource } from '../core/ports/sealed-source.ts';
import type { WorkerPool } from '../core/ports/worker-pool.ts';
import { statAt } from '../files/file-stat.ts';
import { closeFd, openFolder } from '../files/open-file.ts';
import { readXattrs } from '../files/xattr.ts';
import type { PipelineTasks } from '../pipeline/tasks.ts';
import { createWorkerPool } from '../pipeline/worker-pool.ts';
import { createSeededRandom } from '../testing/seeded-random.ts';
import { createTreeFixture, type TreeFixture } from '../testing/tree-fixture.ts';
import type { Entry } from '../tree/entry.ts';
import { applyRestore } from './apply-restore.ts';
import { planRestore } from './plan-restore.ts';
import type { RestoreDeps, RestoreInput, RestoreReport } from './restore-types.ts';

const isRoot = process.getuid?.() === 0;
let base: string;
let fixture: TreeFixture;
let pool: WorkerPool<PipelineTasks>;
const warnings: string[] = [];

beforeAll(async () => {
  fixture = await createTreeFixture('restore');
  pool = createWorkerPool({
    size: 2,
    config: { keys: fixture.keys, chunker: { min: 1024, avg: 4096, max: 16384 }, level: 1 } as never,
  });
});

afterAll(async () => {
  await pool.close();
});

beforeEach(() => {
  base = fs.mkdtempSync(join(tmpdir(), 'edge-restore-'));
  warnings.length = 0;
});

afterEach(() => {
  fs.rmSync(base, { recursive: true, force: true });
});

function deps(sources: readonly SealedSource[], more: Partial<RestoreDeps> = {}): RestoreDeps {
  return {
    sources,
    opener: fixture.opener,
    pool,
    warn: ({ message }) => warnings.push(message),
    keepOut: [join(base, 'data')],
    monotonicMs: () => performance.now(),
    ...more,
  };
}

function inputFor(root: Entry, more: Partial<RestoreInput> = {}): RestoreInput {
  return { snapshot: 'ab'.repeat(32), body: fixture.body(root), target: Buffer.from(join(base, 'out')), ...more };
}

async function restore(input: RestoreInput, dependencies: RestoreDeps): Promise<RestoreReport> {
  return applyRestore(await planRestore(input, dependencies), dependencies);
}

function local(): SealedSource {
  return fixture.localSource(join(base, 'packs'));
}

const random = createSeededRandom('content');

test('every kind of entry comes back with its metadata', async () => {
  const large = random(6_000_000);
  const listed = random(3_000_000);
  const sparse = random(300_000);
  const hardLink = new Uint8Array(16).fill(7);
  const root = fixture.dir(
    '',
    [
      fixture.file('empty', ''),
      fixture.file('small', 'hello', { mode: 0o4711, mtimeNs: -1_234_567_890_123_456_789n }),
      fixture.file(Buffer.from('bad\xff\nname', 'latin1'), 'odd', { mtimeNs: 7_000_000_000_000_000_001n }),
      fixture.file('large', large),
      fixture.file('listed', listed, { chunkBytes: 2048 }),
      fixture.file('sparse', sparse, {
        chunkBytes: 100_000,
        holes: [
          { offset: 0, length: 4096 },
          { offset: 65536, length: 8_388_608 },
        ],
      }),
      fixture.file('hole', '', { holes: [{ offset: 0, length: 1 << 20 }] }),
      fixture.file('link-a', 'linked', { hardLink }),
      fixture.dir(
        'sub',
        [
          fixture.file('link-b', 'linked', { hardLink }),
          fixture.symlink('dangling', Buffer.from('../no\xffwhere', 'latin1'), { mtimeNs: -5n }),
          fixture.dir('locked', [fixture.file('x', 'x', { mode: 0o400 })], { mode: 0o555, mtimeNs: 42n }),
          { ...fixture.symlink('pipe', 'x'), type: 'fifo', target: undefined } as never,
        ].map(dropUndefined),
      ),
      fixture.file('xattr', 'x', {
        posix: { xattrs: [{ name: Buffer.from('user.note'), value: Buffer.from([0, 255, 1]) }] },
      }),
    ],
    { mode: 0o751, mtimeNs: 1_111_111_111_000_000_001n },
  );
  const report = await restore(inputFor(root), deps([local()]));
  expect(report.failures).toEqual([]);
  expect(report.files).toEqual({ restored: 13, skipped: 0, failed: 0 });
  const out = join(base, 'out');
  expect(fs.readdirSync(base).sort()).toEqual(['out', 'packs']);
  expect(fs.readFileSync(join(out, 'large')).equals(large)).toBe(true);
  expect(fs.readFileSync(join(out, 'listed')).equals(listed)).toBe(true);
  const whole = Buffer.concat([
    Buffer.alloc(4096),
    sparse.subarray(0, 65536 - 4096),
    Buffer.alloc(8_388_608),
    sparse.subarray(65536 - 4096),
  ]);
  expect(fs.readFileSync(join(out, 'sparse')).equals(whole)).toBe(true);
  expect(fs.statSync(join(out, 'sparse')).blocks * 512).toBeLessThan(2_000_000);
  expect(fs.statSync(join(out, 'hole')).blocks).toBe(0);
  expect(fs.statSync(join(out, 'link-a')).ino).toBe(fs.statSync(join(out, 'sub/link-b')).ino);
  expect(fs.readFileSync(Buffer.from(`${out}/bad\xff\nname`, 'latin1'), 'utf8')).toBe('odd');
  expect(fs.readlinkSync(join(out, 'sub/dangling'), 'buffer')).toEqual(Buffer.from('../no\xffwhere', 'latin1'));
  expect(fs.lstatSync(join(out, 'sub/pipe')).isFIFO()).toBe(true);
  expect(readXattrs({ path: Buffer.from(join(out, 'xattr')) }).map(({ value }) => [...value])).toEqual([[0, 255, 1]]);
  expect(stat('small')).toMatchObject({ mode: 0o4711, mtimeNs: -1_234_567_890_123_456_789n, size: 5 });
  expect(stat('bad\xff\nname')).toMatchObject({ mtimeNs: 7_000_000_000_000_000_001n });
  expect(stat('sub/dangling')).toMatchObject({ mtimeNs: -5n });
  expect(stat('sub/locked')).toMatchObject({ mode: 0o555, mtimeNs: 42n });
  expect(stat('sub')).toMatchObject({ mode: 0o755, mtimeNs: 1_600_000_000_123_456_789n });
  expect(stat('.')).toMatchObject({ mode: 0o751, mtimeNs: 1_111_111_111_000_000_001n });
  expect(report.bytes.written).toBe(report.bytes.from.local);
});

function stat(path: string) {
  const fd = openFolder(Buffer.from(join(base, 'out')), Buffer.alloc(0));
  try {
    return statAt(fd, Buffer.from(path, 'latin1'));
  } finally {
    closeFd(fd);
  }
}

function dropUndefined(entry: Entry): Entry {
  return Object.fromEntries(Object.entries(entry).filter(([, value]) => value !== undefined)) as unknown as Entry;
}

test('a target is refused when it is not empty, holds the data dir, or is none', async () => {
  const root = fixture.dir('', [fixture.file('a', 'a')]);
  const sources = [local()];
  fs.mkdirSync(join(base, 'out'));
  fs.writeFileSync(join(base, 'out/mine'), '');
  await expect(planRestore(inputFor(root), deps(sources))).rejects.toMatchObject({ code: 'E_TARGET_NOT_EMPTY' });
  for (const target of ['/', base, join(base, 'data'), join(base, 'data/in/it'), join(base, 'out/mine'), 'relative']) {
    await expect(planRestore(inputFor(root, { target: Buffer.from(target) }), deps(sources))).rejects.toMatchObject({
      code: 'E_USAGE',
    });
  }
  expect(isRoot || true).toBe(true);
});

test('an existing empty folder is filled, and keeps nothing of ours', async () => {
  const root = fixture.dir(
    '',
    [fixture.file('a', 'a'), fixture.dir('d', [fixture.file('b', 'b')], { mode: 0o500, mtimeNs: 9n })],
    { mode: 0o700 },
  );
  fs.mkdirSync(join(base, 'out'));
  const report = await restore(inputFor(root), deps([local()]));
  expect(report.failures).toEqual([]);
  expect(fs.readdirSync(join(base, 'out')).sort()).toEqual(['a', 'd']);
  expect(stat('d')).toMatchObject({ mode: 0o500, mtimeNs: 9n });
});
