/** The injectors themselves: a kit that injects nothing would let every fault test pass. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Vault } from '../../crash/vault.ts';
import { pseudoRandom } from '../../support/hostile-tree.ts';
import { tempFolders } from '../../support/temp-folder.ts';
import { faultTest } from '../fault-test.ts';
import { clockShiftedBy } from './clock.ts';
import { dropCaches, LoopDisk } from './loop-disk.ts';
import { filesBelow } from './media.ts';
import { RecordedDisk } from './power-loss.ts';
import { READS, runWithSyscallFaults } from './syscall-faults.ts';
import { operationsOf } from './write-log.ts';

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const newFolder = tempFolders('fault-kit');
let vault: Vault;
beforeAll(async () => {
  vault = new Vault();
  await vault.make();
});
afterAll(() => vault.remove());

describe('power losses', () => {
  faultTest(
    'a power loss that keeps everything leaves the folder as the kernel has it',
    async () => {
      const disk = new RecordedDisk(vault.dataDir);
      vault.edit();
      expect((await disk.run(['sync', vault.root, ...vault.at])).exitCode).toBe(0);
      const state = join(newFolder(), 'state');
      disk.makeStateAt(disk.operations.length, 'all', state);
      const digests = (folder: string): string[] =>
        filesBelow(folder).map((path) => `${path.slice(folder.length)} ${sha256(readFileSync(path))}`);
      expect(digests(state)).toEqual(digests(vault.dataDir));
      expect(disk.crashPoints().length).toBeGreaterThan(10);
    },
    { needs: ['strace'] },
  );

  const log = (lines: readonly string[]) =>
    operationsOf(
      lines.map((line) => `1 ${line.replace(/"([^"]*)"/g, (_, text: string) => `"${hex(text)}"`)}`).join('\n'),
      '/d',
    );
  const hex = (text: string): string =>
    [...Buffer.from(text)].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('');
  const create = 'openat(AT_FDCWD</>, "/d/f", O_RDWR|O_CREAT, 0600) = 5</d/f>';

  test('the log tells where writes without an offset go, and appends too', () => {
    const lines = [
      create,
      'write(5</d/f>, "ab", 2) = 2',
      'write(5</d/f>, "cd", 2) = 1',
      'pwrite64(5</d/f>, "x", 1, 7) = 1',
    ];
    const append = ['openat(AT_FDCWD</>, "/d/f", O_WRONLY|O_APPEND) = 6</d/f>', 'write(6</d/f>, "z", 1) = 1'];
    const writes = log([...lines, ...append]).flatMap((one) =>
      one.kind === 'write' ? [[one.offset, one.data.toString()]] : [],
    );
    expect(writes).toEqual([
      [0, 'ab'],
      [2, 'c'],
      [7, 'x'],
      [8, 'z'],
    ]);
  });

  test.each([
    ['nothing is synced', [], {}, { f: 'ab' }, { f: '' }],
    ['the file is synced, its name is not', ['fsync(5</d/f>) = 0'], {}, { f: 'ab' }, { f: 'ab' }],
    ['the folder is synced, the file is not', ['fsync(6</d>) = 0'], { f: '' }, { f: 'ab' }, { f: '' }],
    ['both are synced', ['fsync(5</d/f>) = 0', 'fsync(6</d>) = 0'], { f: 'ab' }, { f: 'ab' }, { f: 'ab' }],
    ['the file system is synced', ['syncfs(6</d>) = 0'], { f: 'ab' }, { f: 'ab' }, { f: 'ab' }],
    [
      'a failed fsync keeps nothing',
      ['fsync(5</d/f>) = -1 EIO (Input/output error)', 'fsync(6</d>) = 0'],
      { f: '' },
      { f: 'ab' },
      { f: '' },
    ],
    [
      'a rename without fsync of the folder',
      ['fsync(5</d/f>) = 0', 'fsync(6</d>) = 0', 'rename("/d/f", "/d/g") = 0'],
      { f: 'ab' },
      { g: 'ab' },
      { g: 'ab' },
    ],
  ])('what is kept when %s', (_, then, synced, all, names) => {
    const folder = newFolder();
    mkdirSync(join(folder, 'd'));
    const disk = new RecordedDisk(join(folder, 'd'));
    const moved = (path: string): string => path.replace(/^\/d/, disk.folder);
    for (const one of log([create, 'write(5</d/f>, "ab", 2) = 2', ...then])) {
      if (one.kind === 'said') continue;
      disk.operations.push({ ...one, path: moved(one.path), ...('to' in one ? { to: moved(one.to) } : {}) });
    }
    const state = (kept: 'synced' | 'all' | 'names') => {
      disk.makeStateAt(disk.operations.length, kept, join(folder, 'state'));
      const files = readdirSync(join(folder, 'state'));
      return Object.fromEntries(files.map((name) => [name, readFileSync(join(folder, 'state', name), 'utf8')]));
    };
    expect([state('synced'), state('all'), state('names')]).toEqual([synced, all, names]);
  });
});

faultTest(
  'strace answers the reads of the named file only, and tells how often',
  async () => {
    const file = join(vault.dataDir, 'vault.edge');
    const bad = await runWithSyscallFaults(['status', ...vault.at], [{ calls: READS, error: 'EIO', files: [file] }]);
    expect(bad.injected).toBeGreaterThan(0);
    expect(bad.exitCode).not.toBe(0);
    const other = [{ calls: READS, error: 'EIO', files: [join(vault.base, 'nothing')] }];
    expect(await runWithSyscallFaults(['status', ...vault.at], other)).toMatchObject({ exitCode: 0, injected: 0 });
  },
  { needs: ['strace'] },
);

faultTest(
  'a byte changed below a file system is seen by those who ask the medium',
  async () => {
    const disk = LoopDisk.make(newFolder(), 'disk', 16);
    try {
      const file = join(disk.folder, 'file');
      const bytes = pseudoRandom(9000, 5);
      writeFileSync(file, bytes);
      disk.changeBelow(file, 5000);
      expect(readFileSync(file).equals(bytes)).toBe(true);
      dropCaches();
      const found = readFileSync(file);
      expect(found.equals(bytes)).toBe(false);
      expect(found.length).toBe(bytes.length);
      const free = disk.fillUp();
      expect(() => writeFileSync(join(disk.folder, 'more'), Buffer.alloc(2 << 20))).toThrow(/ENOSPC/);
      free();
      writeFileSync(join(disk.folder, 'more'), Buffer.alloc(1 << 20));
    } finally {
      disk.remove();
    }
  },
  { needs: ['loop disk'] },
);

faultTest(
  'a shifted clock is what the program sees',
  async () => {
    const said = spawnSync(process.execPath, ['-p', 'Date.now()'], {
      encoding: 'utf8',
      env: { ...process.env, ...clockShiftedBy('+366d') },
    });
    expect(Number(said.stdout) - Date.now(), said.stderr).toBeGreaterThan(360 * 86_400_000);
  },
  { needs: ['libfaketime'] },
);
