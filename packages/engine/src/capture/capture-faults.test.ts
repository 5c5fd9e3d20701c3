import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { EdgeError } from '../core/errors.ts';
import type { WorkerPool } from '../core/ports/worker-pool.ts';
import type { SnapshotBody } from '../log/record-body.ts';
import type { PipelineTasks } from '../pipeline/tasks.ts';
import { type CaptureFixture, captureFixturePool, openCaptureFixture } from '../testing/capture-fixture.ts';
import { temporaryFolder } from '../testing/store-fixture.ts';
import type { CaptureDeps, CaptureReport } from './capture-types.ts';

const isRoot = process.getuid?.() === 0;
const NOBODY = 65_534;

let pool: WorkerPool<PipelineTasks>;
let folder: { readonly path: string; remove(): void };
let fixture: CaptureFixture;
let tree: string;

beforeAll(() => {
  pool = captureFixturePool(2);
});
afterAll(async () => {
  await pool.close();
});
beforeEach(async () => {
  folder = temporaryFolder();
  tree = join(folder.path, 'tree');
  fs.mkdirSync(tree);
  fixture = await openCaptureFixture(join(folder.path, 'data'), { pool });
});
afterEach(async () => {
  await fixture.close();
  execFileSync('rm', ['-rf', folder.path]);
});

const root = () => ({ root: { name: 'tree', path: Buffer.from(tree) } });
const later = (hours = 1) => {
  const { clock } = fixture.deps;
  return { clock: { ...clock, nowNs: () => clock.nowNs() + BigInt(hours) * 3_600_000_000_000n } };
};
const write = (path: string, content: string | Buffer): void => {
  fs.mkdirSync(join(tree, path, '..'), { recursive: true });
  fs.writeFileSync(join(tree, path), content);
};
const failuresOf = (report: CaptureReport) =>
  report.failures.map(({ path, code }) => `${Buffer.from(path).toString('latin1')}: ${code}`).sort();
const textOf = async (report: CaptureReport, path: string): Promise<string> =>
  (await fixture.content((await fixture.entries(report)).get(path)!)).toString('latin1');

/** Workers with something happening in between: `before` runs before each task is sent. */
function meddled(
  before: (task: string, input: unknown, count: number) => void | Promise<void>,
): WorkerPool<PipelineTasks> {
  const counts = new Map<string, number>();
  return {
    size: pool.size,
    announce: (task) => pool.announce(task),
    leastLoaded: () => pool.leastLoaded(),
    close: () => pool.close(),
    run: async (task, input, options) => {
      const count = (counts.get(task) ?? 0) + 1;
      counts.set(task, count);
      await before(task, input, count);
      return pool.run(task, input, options);
    },
  };
}

describe.runIf(isRoot)('what may not be read', () => {
  /** The capture of a user to whom not all is open; the data dir is theirs. */
  const asNobody = async <T>(work: () => Promise<T>): Promise<T> => {
    execFileSync('chown', ['-R', `${NOBODY}:${NOBODY}`, join(folder.path, 'data')]);
    fs.chmodSync(folder.path, 0o755);
    process.seteuid!(NOBODY);
    try {
      return await work();
    } finally {
      process.seteuid!(0);
    }
  };

  test('is reported, keeps its earlier version, and does not count as removed', async () => {
    write('open', 'o');
    write('secret', 'first');
    write('d/inner', 'inside');
    write('d/e/deeper', 'below');
    const first = await asNobody(() => fixture.capture(root(), later()));
    expect(first.files).toMatchObject({ new: 4, failed: 0 });
    write('secret', 'second, longer');
    write('open', 'oo');
    write('never', 'seen');
    fs.chmodSync(join(tree, 'secret'), 0);
    fs.chmodSync(join(tree, 'never'), 0);
    fs.chmodSync(join(tree, 'd'), 0);
    const second = await asNobody(() => fixture.capture(root(), later(2)));
    expect(second.files).toMatchObject({ new: 0, changed: 1, removed: 0, failed: 3 });
    expect(failuresOf(second)).toEqual(['d: EACCES', 'never: EACCES', 'secret: EACCES']);
    const entries = await fixture.entries(second);
    expect(await textOf(second, 'secret')).toBe('first');
    expect(await textOf(second, 'd/e/deeper')).toBe('below');
    expect(entries.has('never')).toBe(false);
    expect(fixture.snapshot(second)).toMatchObject({ failed: 3, stats: { files: 4, dirs: 2 } });
    fs.chmodSync(join(tree, 'secret'), 0o644);
    fs.chmodSync(join(tree, 'd'), 0o755);
    fs.unlinkSync(join(tree, 'never'));
    const third = await asNobody(() => fixture.capture(root(), later(3)));
    expect(third.failures).toEqual([]);
    expect(third.files).toMatchObject({ changed: 1, new: 0, removed: 0 });
    expect(await textOf(third, 'secret')).toBe('second, longer');
  });

  test('of a cache tag that may not be read it is told each time, though nothing changed', async () => {
    write('d/CACHEDIR.TAG', 'no signature');
    write('d/inner', 'inside');
    fs.chmodSync(join(tree, 'd/CACHEDIR.TAG'), 0o600);
    // Read once by a user who may: from then on every stat is as the cache has it.
    const first = await fixture.capture(root(), later());
    expect(first.files).toMatchObject({ new: 2, failed: 0 });
    for (const turn of [2, 3]) {
      const report = await asNobody(() => fixture.capture(root(), later(turn)));
      expect(failuresOf(report)).toEqual(['d/CACHEDIR.TAG: EACCES']);
      expect(report.files).toMatchObject({ new: 0, changed: 0, removed: 0, unchanged: 2 });
      expect(await textOf(report, 'd/CACHEDIR.TAG')).toBe('no signature');
    }
  });

  test('keeps its earlier version without the cache, too', async () => {
    write('secret', 'first');
    write('d/inner', 'inside');
    await asNobody(() => fixture.capture(root(), later()));
    fixture.store.index.folders.clear();
    fs.chmodSync(join(tree, 'secret'), 0);
    fs.chmodSync(join(tree, 'd'), 0);
    const report = await asNobody(() => fixture.capture(root(), later(2)));
    expect(report.files).toMatchObject({ removed: 0, failed: 2 });
    expect(await textOf(report, 'secret')).toBe('first');
    expect(await textOf(report, 'd/inner')).toBe('inside');
  });

  test('keeps its earlier version where its chunks are named in lists and the cache is not believed', async () => {
    const small = captureFixturePool(2, { min: 256, avg: 1024, max: 4096 });
    await fixture.close();
    fixture = await openCaptureFixture(join(folder.path, 'data'), { pool: small });
    const content = randomBytes(6 << 20);
    write('d/large', content);
    write('locked/large', content);
    write('hidden/large', content);
    write('d/other', 'o');
    const first = await asNobody(() => fixture.capture(root(), later()));
    const entry = (await fixture.entries(first)).get('d/large')!;
    expect(entry.content?.form).toBe('lists');
    const close = () => {
      fs.chmodSync(join(tree, 'd/large'), 0);
      // May be listed, but nothing in it looked at; and may not be listed.
      fs.chmodSync(join(tree, 'locked'), 0o644);
      fs.chmodSync(join(tree, 'hidden'), 0);
    };
    const open = () => {
      fs.chmodSync(join(tree, 'd/large'), 0o644);
      for (const name of ['locked', 'hidden']) fs.chmodSync(join(tree, name), 0o755);
    };
    // Something else was lost, so that no row is believed; and then there are no rows at all.
    const other = (await fixture.entries(first)).get('d/other')!.content!;
    const lost = other.form === 'inline' ? other.refs[0]!.id : new Uint8Array(32);
    const [where] = await fixture.store.chunks.locate([lost]);
    fixture.store.index.chunks.markBad(lost, where!.pack!, 'test');
    for (const hours of [2, 3]) {
      close();
      const report = await asNobody(() => fixture.capture(root(), later(hours)));
      expect(failuresOf(report)).toEqual(['d/large: EACCES', 'hidden: EACCES', 'locked/large: EACCES']);
      expect(report.files).toMatchObject({ removed: 0, failed: 3 });
      open();
      const entries = await fixture.entries(report);
      for (const path of ['d/large', 'locked/large', 'hidden/large'])
        expect((await fixture.content(entries.get(path)!)).equals(content), path).toBe(true);
      fixture.store.index.folders.clear();
    }
    // A list that is gone names nothing any more.
    const [list] = entry.content!.form === 'lists' ? entry.content!.lists : [];
    const [place] = await fixture.store.chunks.locate([list!.id]);
    fixture.store.index.chunks.markBad(list!.id, place!.pack!, 'test');
    close();
    const after = await asNobody(() => fixture.capture({ ...root(), acceptEmpty: true }, later(4)));
    expect([...(await fixture.entries(after)).keys()].filter((path) => path.endsWith('large'))).toEqual([]);
    open();
    await small.close();
  });

  test('is not kept when its chunks are lost', async () => {
    write('secret', 'first');
    const first = await asNobody(() => fixture.capture(root(), later()));
    const entry = (await fixture.entries(first)).get('secret')!;
    const id = entry.content!.form === 'inline' ? entry.content!.refs[0]!.id : new Uint8Array(32);
    const [where] = await fixture.store.chunks.locate([id]);
    fixture.store.index.chunks.markBad(id, where!.pack!, 'test');
    fs.chmodSync(join(tree, 'secret'), 0);
    const report = await asNobody(() => fixture.capture({ ...root(), acceptEmpty: true }, later(2)));
    expect(report.files.failed).toBe(1);
    expect((await fixture.entries(report)).has('secret')).toBe(false);
  });

  test('a root that may not be listed is an error', async () => {
    fs.chmodSync(tree, 0);
    await expect(asNobody(() => fixture.capture(root()))).rejects.toMatchObject({ code: 'E_DENIED' });
  });
});

describe('what changes meanwhile', () => {
  test('a large file that never holds still is read three times, then stored, marked and reported', async () => {
    write('huge', Buffer.alloc(20 << 20, 'b'));
    write('calm', 'c');
    let opened = 0;
    const disturb = (task: string, input: unknown, count: number): void => {
      if (task !== 'ingestLarge') return;
      const { step } = input as { step: string };
      if (step === 'open') opened++;
      if (step === 'read') fs.writeFileSync(join(tree, 'huge'), `change ${count}`, { flag: 'r+' });
    };
    const report = await fixture.capture(root(), { pool: meddled(disturb) });
    expect(opened).toBe(3);
    expect(failuresOf(report)).toEqual(['huge: E_CHANGED_WHILE_READ']);
    expect(report.files).toMatchObject({ new: 2, failed: 0 });
    const entries = await fixture.entries(report);
    expect(entries.get('huge')).toMatchObject({ changedWhileRead: true, size: 20 << 20 });
    expect((await fixture.content(entries.get('huge')!)).length).toBe(20 << 20);
    const again = await fixture.capture(root(), later(5));
    expect(again.failures).toEqual([]);
    expect(again.files).toMatchObject({ changed: 1, unchanged: 1 });
    expect((await fixture.entries(again)).get('huge')!.changedWhileRead).toBeUndefined();
  });

  test('a large file that shrinks while it is read is read again, and is then whole', async () => {
    write('huge', Buffer.alloc(20 << 20, 'b'));
    const shrink = (task: string, input: unknown, count: number): void => {
      if (task !== 'ingestLarge' || (input as { step: string }).step !== 'read') return;
      if (count === 3) fs.truncateSync(join(tree, 'huge'), 6 << 20);
    };
    const report = await fixture.capture(root(), { pool: meddled(shrink) });
    expect(report.failures).toEqual([]);
    expect((await fixture.entries(report)).get('huge')!.size).toBe(6 << 20);
  });

  test('a file that goes away after it was listed is left out with a notice', async () => {
    write('a', '1');
    write('gone', '2');
    const deps = {
      pool: meddled((task) => void (task === 'ingestRead' && fs.rmSync(join(tree, 'gone'), { force: true }))),
    };
    const report = await fixture.capture(root(), deps);
    expect(report.failures).toEqual([]);
    expect(fixture.warnings.join()).toContain('gone went away');
    expect((await fixture.entries(report)).has('gone')).toBe(false);
    expect(fixture.snapshot(report).stats.files).toBe(1);
  });

  test('a file that becomes a symlink is never followed', async () => {
    write('swap', 'mine');
    const swap = (task: string): void => {
      if (task !== 'ingestRead') return;
      fs.rmSync(join(tree, 'swap'));
      fs.symlinkSync('/etc/passwd', join(tree, 'swap'));
    };
    const report = await fixture.capture(root(), { pool: meddled(swap) });
    expect(failuresOf(report)).toEqual(['swap: ECHANGED']);
    expect((await fixture.entries(report)).has('swap')).toBe(false);
  });

  test('a folder that is swapped for another after it was listed is not entered', async () => {
    write('d/e/f', 'mine');
    fs.mkdirSync(join(folder.path, 'other/e'), { recursive: true });
    fs.writeFileSync(join(folder.path, 'other/e/stolen'), 'theirs');
    let swapped = false;
    const swap = (task: string, input: unknown): void => {
      const paths = (input as { folders?: { path?: Uint8Array }[] }).folders ?? [];
      if (task !== 'scan' || swapped || !paths.some(({ path }) => Buffer.from(path ?? []).toString() === 'd')) return;
      swapped = true;
      fs.renameSync(join(tree, 'd'), join(folder.path, 'aside'));
      fs.symlinkSync(join(folder.path, 'other'), join(tree, 'd'));
    };
    const report = await fixture.capture(root(), { pool: meddled(swap) });
    expect(swapped).toBe(true);
    expect(report.files.failed).toBe(1);
    expect([...(await fixture.entries(report)).keys()].some((path) => path.includes('stolen'))).toBe(false);
  });

  test('a folder that goes away after it was listed is left out', async () => {
    write('d/f', '1');
    write('keep', '2');
    const remove = (task: string, _: unknown, count: number): void => {
      if (task === 'scan' && count === 2) fs.rmSync(join(tree, 'd'), { recursive: true });
    };
    const report = await fixture.capture(root(), { pool: meddled(remove) });
    expect([...(await fixture.entries(report)).keys()].sort()).toEqual(['', 'keep']);
    expect(report.failures).toEqual([]);
  });

  test('a small file that grows large after it was listed is stored whole', async () => {
    write('grows', 'tiny');
    const grow = (task: string): void => {
      if (task === 'ingestRead') fs.writeFileSync(join(tree, 'grows'), Buffer.alloc(9 << 20, 'grown '));
    };
    const report = await fixture.capture(root(), { pool: meddled(grow) });
    expect(await textOf(report, 'grows')).toBe(Buffer.alloc(9 << 20, 'grown ').toString());
  });

  test('files that say they are empty are read up to a bound, and reading errors are reported', async () => {
    const child = spawn('sleep', ['60']);
    try {
      const input = {
        root: {
          name: 'proc',
          path: Buffer.from(`/proc/${child.pid}`),
          exclude: ['/task', '/map_files', '/net', '/fd*', '/ns', '/attr'],
        },
      };
      const report = await fixture.capture(input);
      const entries = await fixture.entries(report);
      expect((await fixture.content(entries.get('comm')!)).toString()).toBe('sleep\n');
      if (isRoot) {
        const failures = failuresOf(report);
        expect(failures).toContain('mem: EIO');
        expect(failures).toContain('pagemap: E_CHANGED_WHILE_READ');
        expect(entries.get('pagemap')!.size).toBe(4 << 20);
      }
    } finally {
      child.kill('SIGKILL');
    }
  });
});

describe('the delete guard', () => {
  beforeEach(async () => {
    for (let i = 0; i < 300; i++) write(`f${i}`, String(i));
    await fixture.capture(root(), later());
  });
  const remove = (count: number): void => {
    for (let i = 0; i < count; i++) fs.unlinkSync(join(tree, `f${i}`));
  };
  const snapshots = (): number => fixture.store.index.log.snapshots().length;

  test('refuses an empty root, unless it is accepted', async () => {
    remove(300);
    await expect(fixture.capture(root(), later(2))).rejects.toMatchObject({ code: 'E_DELETE_GUARD' });
    expect(snapshots()).toBe(1);
    const report = await fixture.capture({ ...root(), maxDelete: { percent: 100 } }, later(2));
    expect(report.files.removed).toBe(300);
    expect(snapshots()).toBe(2);
    expect((await fixture.capture(root(), later(3))).treeUnchanged).toBe(true);
  });

  test('refuses half and more, and the next capture sees what the refused one saw', async () => {
    remove(149);
    expect((await fixture.capture(root(), later(2))).files.removed).toBe(149);
    for (let i = 149; i < 260; i++) fs.unlinkSync(join(tree, `f${i}`));
    await expect(fixture.capture(root(), later(3))).rejects.toMatchObject({ code: 'E_DELETE_GUARD' });
    await expect(fixture.capture({ ...root(), maxDelete: { files: 110 } }, later(3))).rejects.toMatchObject({
      code: 'E_DELETE_GUARD',
      context: { files_removed: 111, files_before: 151 },
    });
    expect((await fixture.capture({ ...root(), maxDelete: { files: 111 } }, later(3))).files.removed).toBe(111);
  });

  test('does not mind what few files a small root loses, but does when all are gone', async () => {
    const small = join(folder.path, 'small');
    fs.mkdirSync(small);
    for (const name of ['a', 'b', 'c']) fs.writeFileSync(join(small, name), name);
    const input = { root: { name: 'small', path: Buffer.from(small) } };
    await fixture.capture(input, later());
    for (const name of ['a', 'b']) fs.unlinkSync(join(small, name));
    expect((await fixture.capture(input, later(2))).files.removed).toBe(2);
    fs.unlinkSync(join(small, 'c'));
    await expect(fixture.capture(input, later(3))).rejects.toMatchObject({ code: 'E_DELETE_GUARD' });
    expect((await fixture.capture({ ...input, acceptEmpty: true }, later(3))).files.removed).toBe(1);
  });
});

describe('stopping', () => {
  const many = (): void => {
    for (let i = 0; i < 1000; i++) write(`d${i % 50}/f${i}`, `content of file ${i} `.repeat(40));
  };

  test('a first capture that is interrupted leaves a snapshot, and the next one goes on from it', async () => {
    many();
    const abort = new AbortController();
    const stop = meddled((task, _, count) => void (task === 'ingestSeal' && count === 4 && abort.abort()));
    await expect(fixture.capture(root(), { ...later(), pool: stop, signal: abort.signal })).rejects.toMatchObject({
      code: 'E_INTERRUPTED',
    });
    const [unfinished] = fixture.store.index.log.snapshots();
    expect(unfinished!.body.unfinished).toBe(true);
    const part = await fixture.entries(unfinished!.id);
    expect(part.size).toBeGreaterThan(100);
    for (const entry of part.values()) if (entry.type === 'file') await fixture.content(entry);
    const report = await fixture.capture(root(), later(2));
    const stored = [...part.values()].filter((entry) => entry.type === 'file').length;
    expect(report.files).toMatchObject({ unchanged: stored, new: 1000 - stored, removed: 0 });
    expect(fixture.snapshot(report).unfinished).toBeUndefined();
    expect((await fixture.entries(report)).size).toBe(1051);
  });

  test('unfinished snapshots at every chance change nothing about the last one', async () => {
    many();
    write('large', Buffer.alloc(12 << 20, 'large '));
    const unfinished: SnapshotBody[] = [];
    const { chain: own } = fixture.deps;
    const chain: CaptureDeps['chain'] = {
      add: (shard, forms) => own.add(shard, forms),
      holds: (shard, ids) => own.holds(shard, ids),
      sync: () => own.sync(),
      shardOf: (name) => own.shardOf(name),
      blocked: undefined,
      append: async (body, shard) => {
        const position = await own.append(body, shard);
        if (body.type === 'snapshot' && body.unfinished === true) unfinished.push(body);
        return position;
      },
    };
    const report = await fixture.capture({ ...root(), unfinishedEveryMs: 0 }, { ...later(), chain });
    expect(unfinished.length).toBeGreaterThan(2);
    for (const body of unfinished) {
      const files = [...(await fixture.entries(body)).values()].filter((entry) => entry.type === 'file');
      expect(files.length).toBe(body.stats.files);
      for (const file of files.slice(-5)) await fixture.content(file);
    }
    expect(fixture.snapshot(report).stats.files).toBe(1001);
    expect((await fixture.entries(report)).size).toBe(1052);
    const plain = await openCaptureFixture(join(folder.path, 'data2'), { pool });
    const other = await plain.capture(root(), later());
    expect(plain.snapshot(other).entry).toEqual(fixture.snapshot(report).entry);
    await plain.close();
    expect((await fixture.capture(root(), later(2))).treeUnchanged).toBe(true);
  });

  test('a later capture that is interrupted keeps what it stored', async () => {
    write('a', '1');
    await fixture.capture(root(), later());
    many();
    const abort = new AbortController();
    const stop = meddled((task, _, count) => void (task === 'ingestSeal' && count === 4 && abort.abort()));
    const deps = { ...later(2), pool: stop, signal: abort.signal };
    await expect(fixture.capture(root(), deps)).rejects.toMatchObject({ code: 'E_INTERRUPTED' });
    expect(fixture.store.index.log.snapshots()).toHaveLength(1);
    const report = await fixture.capture(root(), later(3));
    expect(report.chunks.reused).toBeGreaterThan(100);
    expect(report.files).toMatchObject({ new: 1000, unchanged: 1 });
  });

  test('a large file is left at once', async () => {
    write('large', Buffer.alloc(200 << 20, 'x'));
    const abort = new AbortController();
    const stop = meddled((task, input) => {
      if (task === 'ingestLarge' && (input as { step: string }).step === 'read') abort.abort();
    });
    const deps = { pool: stop, signal: abort.signal };
    await expect(fixture.capture(root(), deps)).rejects.toMatchObject({ code: 'E_INTERRUPTED' });
    expect((await fixture.capture(root(), later())).files.new).toBe(1);
  });

  test('a store that fails ends the capture, with no snapshot and nothing held', async () => {
    many();
    const { chunks } = fixture.deps;
    let added = 0;
    const failing: typeof chunks = {
      ...chunks,
      openWriter: () => {
        const writer = chunks.openWriter();
        return {
          add: (chunk) => {
            if (++added > 300) return Promise.reject(new EdgeError('E_NO_SPACE', 'the disk is full'));
            return writer.add(chunk);
          },
          flush: () => writer.flush(),
          close: () => writer.close(),
          abandon: () => writer.abandon(),
          get stats() {
            return writer.stats;
          },
        };
      },
    };
    await expect(fixture.capture(root(), { chunks: failing })).rejects.toMatchObject({ code: 'E_NO_SPACE' });
    expect(fixture.store.index.log.snapshots()).toHaveLength(0);
    expect(fixture.store.index.chunks.sessions()).toEqual([]);
    expect(fs.readdirSync(join(fixture.store.dataDir.packDir, '.tmp'))).toEqual([]);
    expect((await fixture.capture(root())).files.new).toBe(1000);
  });

  test('below the floor of free space nothing begins', async () => {
    write('a', '1');
    const full = await openCaptureFixture(join(folder.path, 'full'), { pool, floorBytes: 1e15 });
    await expect(full.capture(root())).rejects.toMatchObject({ code: 'E_NO_SPACE' });
    await full.close();
  });

  test('a worker that dies ends the capture, and the next one works', async () => {
    many();
    const own = captureFixturePool(2);
    let killed = false;
    const dying: WorkerPool<PipelineTasks> = {
      size: 2,
      announce: (task) => own.announce(task),
      leastLoaded: () => own.leastLoaded(),
      close: () => own.close(),
      run: (task, input, options) => {
        if (task === 'ingestRead' && !killed) {
          killed = true;
          own
            .run('echo', { text: '', ending: 'die' }, options?.worker === undefined ? {} : { worker: options.worker })
            .catch(() => {});
        }
        return own.run(task, input, options);
      },
    };
    await expect(fixture.capture(root(), { pool: dying })).rejects.toMatchObject({ code: 'E_FAILED', retryable: true });
    expect((await fixture.capture(root(), { pool: own })).files.new).toBe(1000);
    await own.close();
  });
});

test('few file descriptors slow a capture down, and fail nothing', () => {
  for (let i = 0; i < 3000; i++) write(`d${i % 100}/f${i}`, `content of file ${i}`);
  const fixtureFile = new URL('../testing/capture-fixture.ts', import.meta.url).href;
  const script = `
    const { openCaptureFixture } = await import(${JSON.stringify(fixtureFile)});
    const fixture = await openCaptureFixture(${JSON.stringify(join(folder.path, 'data3'))});
    const report = await fixture.capture({ root: { name: 'tree', path: Buffer.from(${JSON.stringify(tree)}) } });
    console.log(JSON.stringify({ files: report.files, failures: report.failures.length }));
    await fixture.close();`;
  const file = join(folder.path, 'capture.mjs');
  fs.writeFileSync(file, script);
  const out = execFileSync('bash', ['-c', 'ulimit -n 64; exec "$0" "$1"', process.execPath, file], {
    encoding: 'utf8',
  });
  expect(JSON.parse(out)).toMatchObject({ files: { new: 3000, failed: 0 }, failures: 0 });
});
