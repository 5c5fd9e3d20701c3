import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { statAt } from './file-stat.ts';
import { listFolder } from './list-folder.ts';
import {
  changeOwnerAt,
  changeTimeAt,
  deviceNumber,
  makeFolderAt,
  makeHardLinkAt,
  makeNodeAt,
  makeSymlinkAt,
  readLinkAt,
  removeFileAt,
  renameAt,
} from './make-entry.ts';
import { closeFd, openFolder, openFolderAt, openForReading, procPath, withFolder } from './open-file.ts';
import { joinPath, lastName, parentPath, splitPath } from './path-bytes.ts';
import { findHoles, readFully, seekTo } from './read-file.ts';
import { readXattr, readXattrs, removeXattr, writeXattr } from './xattr.ts';

const isRoot = process.getuid?.() === 0;
const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');
let base: string;
let dir: number;

beforeEach(() => {
  base = fs.mkdtempSync(join(tmpdir(), 'edge-files-'));
  dir = openFolder(Buffer.from(base), Buffer.alloc(0));
});

afterEach(() => {
  closeFd(dir);
  fs.rmSync(base, { recursive: true, force: true });
});

test('names of any bytes are listed in byte order', () => {
  const names = ['z', '\xff\xfe', 'a\nb', '\x01', '-rf', 'é', '..a', 'n'.repeat(255)].map(bytes);
  for (const name of names) fs.writeFileSync(Buffer.concat([Buffer.from(`${base}/`), name]), '');
  expect(listFolder(dir)).toEqual([...names].sort(Buffer.compare));
});

test('a folder of many names is listed whole', () => {
  for (let i = 0; i < 5000; i++) fs.closeSync(fs.openSync(join(base, `name-${i}`), 'w'));
  expect(listFolder(dir).length).toBe(5000);
});

test.each([
  0n,
  -1n,
  -123_456_789_012_345n,
  14_725_225_600_123_456_789n,
  1_795_212_190_455_862_018n,
  -2_147_483_648_000_000_000n,
])('the time %d ns is set and read back exactly', (ns) => {
  makeFolderAt(dir, bytes('f'), 0o700);
  makeSymlinkAt(dir, bytes('l'), bytes('nowhere'));
  // ext4 stores seconds up to 2446; what it cannot hold it clamps, so ask for what this file system can.
  const want = ns > 15_032_385_535_000_000_000n ? 15_032_385_535_000_000_001n : ns;
  changeTimeAt(dir, bytes('f'), want);
  changeTimeAt(dir, bytes('l'), want);
  expect(statAt(dir, bytes('f'))!.mtimeNs).toBe(want);
  expect(statAt(dir, bytes('l'))!.mtimeNs).toBe(want);
});

test('stat tells kinds apart, follows nothing, and says absent', () => {
  fs.writeFileSync(join(base, 'file'), 'abc', { mode: 0o640 });
  makeSymlinkAt(dir, bytes('link'), bytes('\xff/..'));
  makeNodeAt(dir, bytes('pipe'), 'fifo', 0o600);
  makeHardLinkAt(dir, bytes('file'), dir, bytes('again'));
  makeHardLinkAt(dir, bytes('link'), dir, bytes('link2'));
  expect(statAt(dir, bytes('file'))).toMatchObject({ kind: 'file', size: 3, mode: 0o640, nlink: 2 });
  expect(statAt(dir, bytes('again'))!.ino).toBe(statAt(dir, bytes('file'))!.ino);
  expect(statAt(dir, bytes('link2'))).toMatchObject({ kind: 'symlink', nlink: 2 });
  expect(statAt(dir, bytes('pipe'))).toMatchObject({ kind: 'fifo', mode: 0o600 & ~process.umask() });
  expect(statAt(dir, bytes('absent'))).toBeUndefined();
  expect(Buffer.from(readLinkAt(dir, bytes('link')))).toEqual(bytes('\xff/..'));
});

test.runIf(isRoot)('devices and owners are made and read', () => {
  makeNodeAt(dir, bytes('null'), 'chardev', 0o666, { major: 1, minor: 3 });
  makeNodeAt(dir, bytes('big'), 'blockdev', 0o600, { major: 259, minor: 70000 });
  changeOwnerAt(dir, bytes('big'), 70001, 4_000_000_000);
  expect(statAt(dir, bytes('null'))).toMatchObject({ kind: 'chardev', rdevMajor: 1, rdevMinor: 3 });
  expect(statAt(dir, bytes('big'))).toMatchObject({ rdevMajor: 259, rdevMinor: 70000, uid: 70001, gid: 4_000_000_000 });
  expect(deviceNumber(1, 3)).toBe(0x103n);
});

test('extended attributes round-trip on files and paths, sorted', () => {
  fs.writeFileSync(join(base, 'x'), '');
  const place = { path: procPath(dir, bytes('x')) };
  writeXattr(place, bytes('user.b'), Buffer.alloc(0));
  writeXattr(place, bytes('user.a\xff'), Buffer.from([0, 1, 2]));
  const fd = openForReading(dir, bytes('x'));
  try {
    const wanted = [
      { name: bytes('user.a\xff'), value: new Uint8Array([0, 1, 2]) },
      { name: bytes('user.b'), value: new Uint8Array(0) },
    ];
    expect(readXattrs({ fd })).toEqual(wanted);
    expect(readXattrs(place)).toEqual(wanted);
  } finally {
    closeFd(fd);
  }
  removeXattr(place, bytes('user.b'));
  removeXattr(place, bytes('user.b'));
  expect(readXattr(place, bytes('user.b'))).toBeUndefined();
});

test('holes are found, in the middle and at the end, and short ones are left out beyond the bound', () => {
  const fd = fs.openSync(join(base, 'sparse'), 'w+');
  fs.writeSync(fd, Buffer.alloc(65536, 1), 0, 65536, 1 << 20);
  fs.ftruncateSync(fd, 8 << 20);
  expect(findHoles(fd, 8 << 20, 100)).toEqual([
    { offset: 0, length: 1 << 20 },
    { offset: (1 << 20) + 65536, length: (7 << 20) - 65536 },
  ]);
  for (let i = 0; i < 20; i++) fs.writeSync(fd, Buffer.alloc(4096, 1), 0, 4096, (2 << 20) + i * 8192);
  expect(findHoles(fd, 8 << 20, 10).length).toBeLessThanOrEqual(10);
  seekTo(fd, 1 << 20);
  const into = new Uint8Array(65536 + 10);
  expect(readFully(fd, into)).toBe(65546);
  expect(into.subarray(65535, 65537)).toEqual(new Uint8Array([1, 0]));
  fs.closeSync(fd);
});

test('opening follows no symlink and waits for no FIFO', () => {
  makeSymlinkAt(dir, bytes('l'), bytes('/etc/passwd'));
  makeSymlinkAt(dir, bytes('d'), bytes('/etc'));
  makeNodeAt(dir, bytes('p'), 'fifo', 0o600);
  expect(() => openForReading(dir, bytes('l'))).toThrow(expect.objectContaining({ code: 'ELOOP' }));
  expect(() => openFolderAt(dir, bytes('d'))).toThrow(expect.objectContaining({ code: 'ENOTDIR' }));
  closeFd(openForReading(dir, bytes('p')));
  expect(() => openForReading(dir, bytes('absent'))).toThrow(expect.objectContaining({ code: 'ENOENT' }));
});

test('paths far beyond 4096 bytes are opened', () => {
  const name = bytes('d'.repeat(200));
  let at = openFolderAt(dir, bytes('.'));
  let path: Uint8Array = new Uint8Array(0);
  for (let depth = 0; depth < 60; depth++) {
    makeFolderAt(at, name, 0o700);
    const next = openFolderAt(at, name);
    closeFd(at);
    at = next;
    path = joinPath(path, name);
  }
  makeFolderAt(at, bytes('leaf'), 0o700);
  closeFd(at);
  expect(withFolder(Buffer.from(base), path, listFolder)).toEqual([bytes('leaf')]);
  execFileSync('rm', ['-rf', base]);
  fs.mkdirSync(base);
});

test('renaming replaces, unless told not to', () => {
  fs.writeFileSync(join(base, 'a'), '1');
  fs.writeFileSync(join(base, 'b'), '2');
  expect(() => renameAt(dir, bytes('a'), dir, bytes('b'), { replace: false })).toThrow(
    expect.objectContaining({ code: 'EEXIST' }),
  );
  renameAt(dir, bytes('a'), dir, bytes('b'));
  expect(fs.readFileSync(join(base, 'b'), 'utf8')).toBe('1');
  removeFileAt(dir, bytes('b'));
  expect(listFolder(dir)).toEqual([]);
});

test('a NUL in a name is refused before the kernel sees half of it', () => {
  expect(() => statAt(dir, bytes('a\0b'))).toThrow(expect.objectContaining({ code: 'E_USAGE' }));
});

test('paths are joined and split as bytes', () => {
  expect(joinPath(bytes('/'), bytes('\xff'))).toEqual(new Uint8Array(bytes('/\xff')));
  expect(splitPath(bytes('/a//b/')).map(String)).toEqual(['a', 'b']);
  expect(Buffer.from(parentPath(bytes('/a/b')))).toEqual(bytes('/a'));
  expect(Buffer.from(lastName(bytes('/a/b/')))).toEqual(bytes('b'));
});
