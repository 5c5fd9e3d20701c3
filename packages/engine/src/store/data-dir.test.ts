import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { temporaryFolder } from '../testing/store-fixture.ts';
import { cleanDataDir, createDataDir, dataDirAt, packsAreInside, requireDataDir } from './data-dir.ts';
import { lockDataDir, readLockHolder } from './data-dir-lock.ts';
import { makeFolderDurably, writeFileDurably } from './durable-write.ts';

let folder: ReturnType<typeof temporaryFolder>;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => folder.remove());

test('a data dir and its files are private whatever the umask', async () => {
  const old = process.umask(0);
  try {
    const dir = dataDirAt(join(folder.path, 'a/b'));
    await createDataDir(dir);
    expect(statSync(dir.path).mode & 0o777).toBe(0o700);
    expect(statSync(dir.chainsDir).mode & 0o777).toBe(0o700);
    await writeFileDurably(dir.storedKeyFile, Buffer.from('x'));
    expect(statSync(dir.storedKeyFile).mode & 0o777).toBe(0o600);
  } finally {
    process.umask(old);
  }
});

test('a data dir that others can enter is made private', async () => {
  const path = join(folder.path, 'd');
  mkdirSync(path);
  chmodSync(path, 0o755);
  await createDataDir(dataDirAt(path));
  expect(statSync(path).mode & 0o777).toBe(0o700);
});

test('a folder without a vault is E_NO_VAULT', async () => {
  await expect(requireDataDir(dataDirAt(join(folder.path, 'none')))).rejects.toMatchObject({ code: 'E_NO_VAULT' });
});

test('writing replaces the whole file and leaves no temporary file', async () => {
  const path = join(folder.path, 'f');
  await writeFileDurably(path, Buffer.from('one'));
  await writeFileDurably(path, Buffer.from('two and more'), 0o644);
  expect(readFileSync(path, 'utf8')).toBe('two and more');
  expect(statSync(path).mode & 0o777).toBe(0o644);
  expect(readdirSync(folder.path)).toEqual(['f']);
});

test('a write that fails keeps the old file, names the path and cleans up', async () => {
  const path = join(folder.path, 'is-a-folder');
  mkdirSync(path);
  await expect(writeFileDurably(path, Buffer.from('x'))).rejects.toMatchObject({
    code: 'E_IO',
    message: expect.stringContaining(path),
  });
  expect(readdirSync(folder.path)).toEqual(['is-a-folder']);
});

test('clean-up removes temporary files and nothing else', async () => {
  const dir = dataDirAt(join(folder.path, 'd'));
  await createDataDir(dir);
  writeFileSync(join(dir.packTemporaryDir, '7.pack'), 'x');
  writeFileSync(join(dir.slotsDir, '.a.slot.3.tmp'), 'x');
  writeFileSync(join(dir.slotsDir, 'a.slot'), 'x');
  expect(await cleanDataDir(dir)).toBe(2);
  expect(readdirSync(dir.slotsDir)).toEqual(['a.slot']);
  expect(existsSync(join(dir.packTemporaryDir, '7.pack'))).toBe(false);
});

test('packs elsewhere are known to be elsewhere', async () => {
  expect(packsAreInside(dataDirAt('/a/b'))).toBe(true);
  expect(packsAreInside(dataDirAt('/a/b', { packDir: '/a/bc' }))).toBe(false);
  await makeFolderDurably(join(folder.path, 'x/y/z'));
  expect(statSync(join(folder.path, 'x/y/z')).isDirectory()).toBe(true);
});

test('the lock names its holder, and a killed holder does not keep it', async () => {
  const lockFile = join(folder.path, 'lock');
  const child = spawn(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `import { lockDataDir } from ${JSON.stringify(join(import.meta.dirname, 'data-dir-lock.ts'))};
       lockDataDir(${JSON.stringify(lockFile)}, { pid: process.pid, command: 'edgestore sync', since: '2026-01-01T00:00:00Z' });
       process.stdout.write('held'); setInterval(() => {}, 1000);`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  await new Promise((resolve) => child.stdout.once('data', resolve));
  const us = { pid: process.pid, command: 'test', since: 'now' };
  expect(() => lockDataDir(lockFile, us)).toThrow(
    expect.objectContaining({
      code: 'E_BUSY',
      message: expect.stringContaining(`process ${child.pid} (edgestore sync)`),
    }),
  );
  child.kill('SIGKILL');
  await new Promise((resolve) => child.once('exit', resolve));
  const lock = lockDataDir(lockFile, us);
  expect(readLockHolder(lockFile)).toEqual(us);
  expect(() => lockDataDir(lockFile, us)).toThrow(expect.objectContaining({ code: 'E_BUSY' }));
  lock.release();
  lock.release();
  lockDataDir(lockFile, us).release();
  expect(readLockHolder(lockFile)).toBeUndefined();
});
