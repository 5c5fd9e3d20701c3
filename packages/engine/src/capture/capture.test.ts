import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { WorkerPool } from '../core/ports/worker-pool.ts';
import { statAt } from '../files/file-stat.ts';
import { changeTimeAt, makeFolderAt, makeHardLinkAt, makeNodeAt, makeSymlinkAt } from '../files/make-entry.ts';
import { closeFd, openFolder, openFolderAt, procPath } from '../files/open-file.ts';
import { writeXattr } from '../files/xattr.ts';
import type { PipelineTasks } from '../pipeline/tasks.ts';
import { type CaptureFixture, captureFixturePool, openCaptureFixture } from '../testing/capture-fixture.ts';
import { temporaryFolder } from '../testing/store-fixture.ts';
import type { CaptureReport } from './capture-types.ts';

const isRoot = process.getuid?.() === 0;
const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');
const EMPTY = Buffer.alloc(0);
/** Times well before any capture, so that nothing is racy. */
const OLD_NS = 1_500_000_000_123_456_789n;

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

const root = (more = {}) => ({ root: { name: 'tree', path: Buffer.from(tree), ...more } });
/** A clock that is hours ahead, so that changes just made are not racy. */
const later = (hours = 1) => {
  const { clock } = fixture.deps;
  return { clock: { ...clock, nowNs: () => clock.nowNs() + BigInt(hours) * 3_600_000_000_000n } };
};
const textOf = async (report: CaptureReport, path: string): Promise<string> => {
  const entry = (await fixture.entries(report)).get(path);
  if (entry === undefined) throw new Error(`no ${path}`);
  return (await fixture.content(entry)).toString('latin1');
};

describe('a whole tree', () => {
  test('names of any bytes, all kinds and times come back as they were', async () => {
    const dir = openFolder(Buffer.from(tree), EMPTY);
    const names = ['a\nb', '\xff\xfe', '-rf', '\x1b[31m', 'q\'"', '...', 'n'.repeat(255)].map(bytes);
    for (const [i, name] of names.entries()) {
      fs.writeFileSync(Buffer.concat([Buffer.from(`${tree}/`), name]), `content ${i}`);
      changeTimeAt(dir, name, OLD_NS + BigInt(i));
    }
    fs.writeFileSync(join(tree, 'before'), '1');
    changeTimeAt(dir, bytes('before'), -86_400_000_000_001n);
    fs.writeFileSync(join(tree, 'ahead'), '2');
    changeTimeAt(dir, bytes('ahead'), 14_725_225_600_123_456_789n);
    makeSymlinkAt(dir, bytes('link'), bytes('../\xff nowhere'));
    makeSymlinkAt(dir, bytes('long-link'), Buffer.alloc(4095, 0x61));
    makeNodeAt(dir, bytes('pipe'), 'fifo', 0o620);
    makeFolderAt(dir, bytes('empty'), 0o1751);
    fs.writeFileSync(join(tree, 'zero'), '');
    makeHardLinkAt(dir, bytes('link'), dir, bytes('same-link'));
    if (isRoot) {
      makeNodeAt(dir, bytes('null'), 'chardev', 0o666, { major: 1, minor: 3 });
      makeNodeAt(dir, bytes('disk'), 'blockdev', 0o660, { major: 259, minor: 70_000 });
      fs.chownSync(join(tree, 'zero'), 70_001, 4_000_000_000);
      fs.chmodSync(join(tree, 'zero'), 0o4755);
    }
    writeXattr({ path: procPath(dir, bytes('zero')) }, bytes('user.name\xff'), Buffer.from([0, 1]));
    writeXattr({ path: procPath(dir, bytes('empty')) }, bytes('user.d'), Buffer.alloc(2000, 7));
    const server = net.createServer().listen(join(tree, 'sock'));
    await new Promise((resolve) => server.once('listening', resolve));

    const report = await fixture.capture(root());
    const entries = await fixture.entries(report);
    expect(report.failures).toEqual([]);
    expect(fixture.warnings.join()).toContain('sock is a socket');
    expect(entries.has('sock')).toBe(false);
    for (const [i, name] of names.entries()) {
      const entry = entries.get(name.toString('latin1'))!;
      expect(entry.mtimeNs).toBe(OLD_NS + BigInt(i));
      expect((await fixture.content(entry)).toString()).toBe(`content ${i}`);
    }
    expect(entries.get('before')!.mtimeNs).toBe(-86_400_000_000_001n);
    expect(entries.get('ahead')!.mtimeNs).toBe(14_725_225_600_123_456_789n);
    expect(Buffer.from(entries.get('link')!.target!)).toEqual(bytes('../\xff nowhere'));
    expect(entries.get('long-link')!.target!.length).toBe(4095);
    expect(entries.get('link')!.hardLink).toEqual(entries.get('same-link')!.hardLink);
    expect(entries.get('link')!.hardLink).toBeDefined();
    expect(entries.get('pipe')).toMatchObject({ type: 'fifo', posix: { mode: 0o620 & ~process.umask() } });
    expect(entries.get('empty')!.posix.xattrs).toEqual([
      { name: new Uint8Array(bytes('user.d')), value: new Uint8Array(2000).fill(7) },
    ]);
    const zero = entries.get('zero')!;
    expect(zero).toMatchObject({ type: 'file', size: 0 });
    expect(zero.posix.xattrs).toHaveLength(1);
    if (isRoot) {
      expect(zero.posix).toMatchObject({ mode: 0o4755, uid: 70_001, gid: 4_000_000_000 });
      expect(entries.get('null')).toMatchObject({ type: 'chardev', posix: { rdev: { major: 1, minor: 3 } } });
      expect(entries.get('disk')).toMatchObject({ type: 'blockdev', posix: { rdev: { major: 259, minor: 70_000 } } });
    }
    for (const [path, entry] of entries) {
      if (path === '') continue;
      const found = statAt(dir, bytes(path))!;
      expect(entry.posix).toMatchObject({ mode: found.mode, uid: found.uid, gid: found.gid });
      expect(entry.mtimeNs).toBe(found.mtimeNs);
    }
    closeFd(dir);
    const again = await fixture.capture(root(), later());
    expect(again.treeUnchanged).toBe(true);
    server.close();
  });

  test('sizes around every boundary, a large file, duplicates and a sparse file keep their bytes', async () => {
    const sizes = [
      0,
      1,
      31,
      4095,
      4096,
      4097,
      16_384,
      65_535,
      65_536,
      65_537,
      131_073,
      2 << 20,
      (2 << 20) + 1,
      (4 << 20) + 1,
      9 << 20,
    ];
    let state = 1;
    const noise = (length: number): Buffer => {
      const out = Buffer.alloc(length);
      for (let i = 0; i < length; i++) {
        state = (state * 1_103_515_245 + 12_345) & 0x7fffffff;
        out[i] = state >> 16;
      }
      return out;
    };
    const wanted = new Map<string, Buffer>();
    for (const size of sizes) wanted.set(`size-${size}`, noise(size));
    wanted.set('copy', wanted.get('size-131073')!);
    wanted.set('text', Buffer.from('the same words again and again '.repeat(50_000)));
    for (const [name, content] of wanted) fs.writeFileSync(join(tree, name), content);
    const sparse = fs.openSync(join(tree, 'sparse'), 'w');
    fs.writeSync(sparse, noise(70_000), 0, 70_000, 10 << 20);
    fs.ftruncateSync(sparse, 1 << 30);
    fs.closeSync(sparse);
    const small = fs.openSync(join(tree, 'small-sparse'), 'w');
    fs.writeSync(small, noise(5000), 0, 5000, 1 << 20);
    fs.ftruncateSync(small, 3 << 20);
    fs.closeSync(small);

    const report = await fixture.capture(root());
    const entries = await fixture.entries(report);
    for (const [name, content] of wanted) {
      expect((await fixture.content(entries.get(name)!)).equals(content), name).toBe(true);
    }
    expect(entries.get('sparse')!.holes).toHaveLength(2);
    expect((await fixture.content(entries.get('sparse')!)).equals(fs.readFileSync(join(tree, 'sparse')))).toBe(true);
    expect(
      (await fixture.content(entries.get('small-sparse')!)).equals(fs.readFileSync(join(tree, 'small-sparse'))),
    ).toBe(true);
    expect(report.bytes.stored).toBeLessThan(report.bytes.new);
    expect(report.chunks.reused).toBeGreaterThan(0);
  });

  test('a file of thousands of chunks is described by lists', async () => {
    const content = Buffer.alloc(40 << 20);
    for (let i = 0; i < content.length; i += 4) content.writeUInt32LE(Math.imul(i, 2_654_435_761) >>> 0, i);
    fs.writeFileSync(join(tree, 'huge'), content);
    const report = await fixture.capture(root());
    const entry = (await fixture.entries(report)).get('huge')!;
    expect(entry.content!.form).toBe('lists');
    expect((await fixture.content(entry)).equals(content)).toBe(true);
  });

  test('hard links are one file, in whatever folders, and stay so when the first one goes', async () => {
    fs.mkdirSync(join(tree, 'b'));
    fs.mkdirSync(join(tree, 'c'));
    fs.writeFileSync(join(tree, 'b/one'), 'linked');
    fs.linkSync(join(tree, 'b/one'), join(tree, 'c/two'));
    fs.linkSync(join(tree, 'b/one'), join(tree, 'a'));
    const first = await fixture.entries(await fixture.capture(root(), later()));
    expect(first.get('a')!.hardLink).toBeDefined();
    expect(first.get('b/one')!.hardLink).toEqual(first.get('a')!.hardLink);
    expect(first.get('c/two')!.hardLink).toEqual(first.get('a')!.hardLink);
    fs.unlinkSync(join(tree, 'a'));
    const report = await fixture.capture(root(), later(2));
    const second = await fixture.entries(report);
    expect(second.get('b/one')!.hardLink).toEqual(second.get('c/two')!.hardLink);
    expect((await fixture.content(second.get('c/two')!)).toString()).toBe('linked');
    expect(report.files.removed).toBe(1);
  });

  test('10,000 links are read once', async () => {
    fs.writeFileSync(join(tree, 'first'), 'x'.repeat(50_000));
    for (let i = 0; i < 10_000; i++) fs.linkSync(join(tree, 'first'), join(tree, `l${i}`));
    const report = await fixture.capture(root());
    expect(report.chunks.new).toBeLessThan(60);
    const entries = await fixture.entries(report);
    expect(new Set([...entries.values()].map((entry) => Buffer.from(entry.hardLink ?? []).toString('hex'))).size).toBe(
      2,
    );
  });

  test('paths beyond 4096 bytes and a thousand levels are captured', async () => {
    const dir = openFolder(Buffer.from(tree), EMPTY);
    let at = openFolderAt(dir, bytes('.'));
    const name = bytes('d'.repeat(20));
    for (let depth = 0; depth < 1000; depth++) {
      makeFolderAt(at, name, 0o755);
      const next = openFolderAt(at, name);
      if (depth % 100 === 0) makeSymlinkAt(at, bytes('l'), bytes('t'));
      closeFd(at);
      at = next;
    }
    fs.writeFileSync(`/proc/self/fd/${at}/leaf`, 'deep');
    closeFd(at);
    closeFd(dir);
    const report = await fixture.capture(root());
    expect(report.failures).toEqual([]);
    const entries = await fixture.entries(report);
    const leaf = entries.get(`${Array.from({ length: 1000 }, () => name.toString()).join('/')}/leaf`)!;
    expect((await fixture.content(leaf)).toString()).toBe('deep');
    expect((await fixture.capture(root(), later())).files).toMatchObject({ unchanged: 11, new: 0, changed: 0 });
  });

  test('many files in one folder', async () => {
    for (let i = 0; i < 30_000; i++) fs.writeFileSync(join(tree, `file-${i}`), String(i % 1000));
    const report = await fixture.capture(root(), later());
    expect(report.files.new).toBe(30_000);
    expect((await fixture.entries(report)).size).toBe(30_001);
    const again = await fixture.capture(root(), later(2));
    expect(again.files).toMatchObject({ unchanged: 30_000, changed: 0, new: 0 });
    expect(again.bytes.read).toBe(0);
  });
});

describe('a second capture', () => {
  const write = (path: string, content: string): void => {
    fs.mkdirSync(join(tree, path, '..'), { recursive: true });
    fs.writeFileSync(join(tree, path), content);
  };

  test('reads what changed and nothing else', async () => {
    for (let i = 0; i < 20; i++) for (let j = 0; j < 5; j++) write(`d${i}/f${j}`, `file ${i} ${j}`);
    await fixture.capture(root(), later());
    write('d3/f2', 'changed!');
    write('d4/new', 'new');
    fs.unlinkSync(join(tree, 'd5/f0'));
    fs.rmSync(join(tree, 'd6'), { recursive: true });
    fs.chmodSync(join(tree, 'd7/f1'), 0o600);
    const report = await fixture.capture(root(), later(2));
    expect(report.files).toEqual({ new: 1, changed: 2, unchanged: 92, removed: 6, failed: 0 });
    expect(report.bytes.read).toBeLessThan(40);
    const entries = await fixture.entries(report);
    expect(entries.has('d5/f0')).toBe(false);
    expect(entries.has('d6')).toBe(false);
    expect(await textOf(report, 'd3/f2')).toBe('changed!');
    expect(entries.get('d7/f1')!.posix.mode).toBe(0o600);
    const third = await fixture.capture(root(), later(3));
    expect(third.treeUnchanged).toBe(true);
    expect(third.chunks.new).toBe(0);
    expect(third.files).toMatchObject({ unchanged: 95, removed: 0 });
  });

  test('sees a change that left size and modification time as they were', async () => {
    write('f', 'aaaa');
    await fixture.capture(root(), later());
    const { atime, mtime } = fs.statSync(join(tree, 'f'));
    write('f', 'bbbb');
    fs.utimesSync(join(tree, 'f'), atime, mtime);
    expect(await textOf(await fixture.capture(root(), later(2)), 'f')).toBe('bbbb');
  });

  test('reads again what changed just before the last capture began', async () => {
    write('f', 'aaaa');
    await fixture.capture(root());
    const again = await fixture.capture(root(), later(2));
    expect(again.bytes.read).toBe(4);
    expect(again.files).toMatchObject({ unchanged: 1, changed: 0 });
    expect((await fixture.capture(root(), later(3))).bytes.read).toBe(0);
  });

  test('a file that became a folder and a folder that became a file', async () => {
    write('x', 'file');
    write('y/z', 'inner');
    await fixture.capture(root(), later());
    fs.unlinkSync(join(tree, 'x'));
    write('x/inner', '1');
    fs.rmSync(join(tree, 'y'), { recursive: true });
    write('y', 'now a file');
    const report = await fixture.capture(root(), later(2));
    const entries = await fixture.entries(report);
    expect(entries.get('x')!.type).toBe('dir');
    expect(entries.get('y')!.type).toBe('file');
    expect(entries.has('y/z')).toBe(false);
    expect(report.files).toMatchObject({ new: 2, removed: 2 });
    expect(fixture.store.index.folders.get('tree', bytes('y'))).toBeUndefined();
  });

  test('reads all again with a full scan, and stores nothing twice', async () => {
    write('a', 'one');
    write('b/c', 'two');
    await fixture.capture(root(), later());
    const report = await fixture.capture({ ...root(), fullScan: true }, later(2));
    expect(report.files).toMatchObject({ unchanged: 2, changed: 0, new: 0 });
    expect(report.bytes).toMatchObject({ read: 6, new: 0 });
    expect(report.treeUnchanged).toBe(true);
  });

  test('without its cache, it knows from the last snapshot what is new', async () => {
    write('a', 'one');
    write('b/c', 'two');
    await fixture.capture(root(), later());
    fixture.store.index.folders.clear();
    write('b/d', 'three');
    const report = await fixture.capture(root(), later(2));
    expect(report.files).toMatchObject({ unchanged: 2, changed: 0, new: 1, removed: 0 });
    expect(report.chunks.reused).toBeGreaterThan(0);
  });

  test('checks what it relies on when a copy was lost, and stores it again', async () => {
    write('keep', 'k'.repeat(3000));
    write('d/lost', 'l'.repeat(3000));
    const first = await fixture.capture(root(), later());
    const entry = (await fixture.entries(first)).get('d/lost')!;
    const id = entry.content!.form === 'inline' ? entry.content!.refs[0]!.id : EMPTY;
    const [where] = await fixture.store.chunks.locate([id]);
    fixture.store.index.chunks.markBad(id, where!.pack!, 'test');
    const report = await fixture.capture(root(), later(2));
    expect(report.files).toMatchObject({ unchanged: 2, changed: 0 });
    expect(report.chunks.new).toBe(1);
    expect(await textOf(report, 'd/lost')).toBe('l'.repeat(3000));
    expect((await fixture.capture(root(), later(3))).bytes.read).toBe(0);
  });

  test('skips the snapshot when asked to and nothing changed', async () => {
    write('a', '1');
    const first = await fixture.capture(root(), later());
    const second = await fixture.capture({ ...root(), skipUnchanged: true }, later(2));
    expect(second).toMatchObject({ snapshot: first.snapshot, treeUnchanged: true });
    expect(fixture.store.index.log.snapshots()).toHaveLength(1);
  });

  test('a dry run counts and writes nothing', async () => {
    write('a', '1');
    write('b', '2');
    const report = await fixture.capture({ ...root(), dryRun: true });
    expect(report).toMatchObject({ snapshot: undefined, files: { new: 2 }, bytes: { stored: 0 } });
    expect(fixture.store.index.log.snapshots()).toHaveLength(0);
    expect(fixture.store.index.chunks.counts().packs).toBe(0);
  });
});

describe('what is left out', () => {
  test('ignore files, exclude patterns, cache folders and the data dir', async () => {
    const inside = await openCaptureFixture(join(tree, 'my-data'), { pool });
    for (const path of ['keep', 'a.log', 'sub/b.log', 'sub/keep.log', 'node/x', 'cache/big', 'sub/deep/c.tmp']) {
      fs.mkdirSync(join(tree, path, '..'), { recursive: true });
      fs.writeFileSync(join(tree, path), path);
    }
    fs.writeFileSync(join(tree, '.edgestoreignore'), '*.log\n');
    fs.writeFileSync(join(tree, 'sub/.edgestoreignore'), '!keep.log\n*.tmp\n');
    fs.writeFileSync(join(tree, 'cache/CACHEDIR.TAG'), 'Signature: 8a477f597d28d172789f06886806bc55\n');
    const report = await inside.capture(root({ exclude: ['/node'] }), later());
    const paths = [...(await inside.entries(report)).keys()].sort();
    expect(paths).toEqual(
      [
        '',
        '.edgestoreignore',
        'cache',
        'cache/CACHEDIR.TAG',
        'keep',
        'sub',
        'sub/.edgestoreignore',
        'sub/deep',
        'sub/keep.log',
      ].sort(),
    );
    expect(inside.warnings.join()).toContain('my-data is edgestore’s own data');
    const again = await inside.capture(root({ exclude: ['/node'] }), later(2));
    expect(again.treeUnchanged).toBe(true);
    fs.writeFileSync(join(tree, '.edgestoreignore'), '');
    const all = await inside.capture(root(), later(3));
    expect((await inside.entries(all)).has('a.log')).toBe(true);
    expect((await inside.entries(all)).has('node/x')).toBe(true);
    await inside.close();
  });

  test('a data dir cannot be a root', async () => {
    const path = Buffer.from(fixture.store.dataDir.path);
    await expect(fixture.capture({ root: { name: 'x', path } })).rejects.toMatchObject({ code: 'E_USAGE' });
  });

  test.runIf(isRoot)('other file systems, when asked', async () => {
    fs.mkdirSync(join(tree, 'mnt'));
    fs.writeFileSync(join(tree, 'a'), '1');
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'none', join(tree, 'mnt')]);
    try {
      fs.writeFileSync(join(tree, 'mnt/inner'), '2');
      const all = await fixture.entries(await fixture.capture(root(), later()));
      expect(all.has('mnt/inner')).toBe(true);
      const one = await fixture.entries(await fixture.capture(root({ oneFileSystem: true }), later(2)));
      expect(one.has('mnt')).toBe(true);
      expect(one.has('mnt/inner')).toBe(false);
    } finally {
      execFileSync('umount', [join(tree, 'mnt')]);
    }
  });
});

describe('roots', () => {
  test('a symlink is followed once', async () => {
    fs.writeFileSync(join(tree, 'f'), 'x');
    fs.symlinkSync(tree, join(folder.path, 'way'));
    const report = await fixture.capture({ root: { name: 'way', path: Buffer.from(join(folder.path, 'way')) } });
    expect(await textOf(report, 'f')).toBe('x');
  });

  test('a single file', async () => {
    const path = join(folder.path, 'single');
    fs.writeFileSync(path, 'alone');
    const input = { root: { name: 'single', path: Buffer.from(path) } };
    const report = await fixture.capture(input, later());
    expect(await textOf(report, '')).toBe('alone');
    expect(report.files).toMatchObject({ new: 1 });
    const again = await fixture.capture(input, later(2));
    expect(again).toMatchObject({ treeUnchanged: true, files: { unchanged: 1, removed: 0 }, bytes: { read: 0 } });
    fs.writeFileSync(path, Buffer.alloc(6 << 20, 'now large '));
    const large = await fixture.capture(input, later(3));
    expect(large.files).toMatchObject({ changed: 1, removed: 0 });
    expect((await fixture.content(fixture.snapshot(large).entry)).length).toBe(6 << 20);
  });

  test('what is not there, a relative path, a FIFO', async () => {
    const nowhere = { root: { name: 'x', path: bytes('/nowhere/at all') } };
    await expect(fixture.capture(nowhere)).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
    await expect(fixture.capture({ root: { name: 'x', path: bytes('tree') } })).rejects.toMatchObject({
      code: 'E_USAGE',
    });
    const dir = openFolder(Buffer.from(tree), EMPTY);
    makeNodeAt(dir, bytes('p'), 'fifo', 0o600);
    closeFd(dir);
    await expect(fixture.capture({ root: { name: 'x', path: Buffer.from(join(tree, 'p')) } })).rejects.toMatchObject({
      code: 'E_USAGE',
    });
  });
});
