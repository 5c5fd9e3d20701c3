/** Limits of the machine: no space, no permission, no descriptors. What was acknowledged stays, and with room everything goes on. */
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { differences, manifestOf } from '../oracle/manifest.ts';
import { cleanEnvironment, EDGESTORE_BIN } from '../support/edgestore-process.ts';
import { pseudoRandom } from '../support/hostile-tree.ts';
import { makeSite, runWithDescriptors, type Site, withEnvironment } from './site.ts';

const isRoot = process.getuid?.() === 0;
let site: Site;
const mounted: string[] = [];
beforeAll(async () => {
  site = await makeSite();
});
afterAll(() => {
  for (const folder of mounted.reverse()) spawnSync('umount', [folder]);
  site.remove();
});

/** A small file system; undefined, said aloud, where nobody may mount one. */
function smallDisk(name: string, mib: number): { readonly folder: string; grow(mib: number): void } | undefined {
  const folder = site.at(name);
  mkdirSync(folder);
  const mount = (options: string) => spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder]).status === 0;
  if (!isRoot || !mount(`size=${mib}m`)) {
    process.stderr.write(`SKIPPED: no small file system can be mounted at ${folder} (needs root).\n`);
    return undefined;
  }
  mounted.push(folder);
  return { folder, grow: (size) => void mount(`remount,size=${size}m`) };
}

/** Not one byte is left; two files, since the last blocks are smaller than a write of `dd`. */
function fill(folder: string): void {
  spawnSync('dd', ['if=/dev/zero', `of=${join(folder, 'fill')}`, 'bs=1M']);
  spawnSync('dd', ['if=/dev/zero', `of=${join(folder, 'rest')}`, 'bs=4k']);
}

function unfill(folder: string): void {
  for (const name of ['fill', 'rest']) rmSync(join(folder, name));
}

/** Every command that only reads, against the acknowledged snapshot. */
async function everythingReads(dataDir: string, warned?: RegExp): Promise<void> {
  await site.restores(dataDir, warned === undefined ? {} : { warned });
  const { snapshots } = (await site.json(dataDir, ['snapshot', 'list'])).data;
  const [{ id }] = snapshots;
  const cat = await site.run(dataDir, ['cat', `${id}:a.txt`]);
  expect([cat.exitCode, cat.stdout]).toEqual([0, 'hello\n']);
  const copies = (await site.json(dataDir, ['where', `${id}:large`])).data;
  expect(JSON.stringify(copies)).toContain('local');
  for (const args of [['status'], ['ls', id], ['find', 'b.txt'], ['snapshot', 'show', id]])
    await site.json(dataDir, args);
}

describe('no space', () => {
  test('for the data dir: 15, what was acknowledged stays and restores; with room it goes on', async (context) => {
    const disk = smallDisk('small', 110);
    if (disk === undefined) return context.skip('no file system can be mounted here');
    const dataDir = join(disk.folder, 'data');
    cpSync(site.vault, dataDir, { recursive: true });
    chmodSync(dataDir, 0o700);
    const more = site.at('more');
    mkdirSync(more);
    for (let i = 0; i < 30; i++) writeFileSync(join(more, `file-${i}`), pseudoRandom(1_000_000, i + 100));
    const refusal = {
      exit: 15,
      code: 'E_NO_SPACE',
      message: /free at .*small\/data\/packs; below \d+ MiB/,
      hint: /Free some space/,
    };
    // Stopped while it runs, then before it begins.
    await site.json(dataDir, ['sync', more], 15);
    await site.refuses(dataDir, ['sync', more], refusal);
    writeFileSync(join(disk.folder, 'filler'), Buffer.alloc(30 * 1024 * 1024));
    const { data: doctor } = await site.json(dataDir, ['doctor'], 20);
    rmSync(join(disk.folder, 'filler'));
    expect(doctor.checks.find((check: { what: string }) => check.what === 'space')).toMatchObject({
      result: 'problem',
      hint: expect.stringMatching(/Free some space/),
    });
    await site.restores(dataDir);
    expect((await site.json(dataDir, ['snapshot', 'list'])).data.snapshots).toHaveLength(1);
    disk.grow(400);
    await site.json(dataDir, ['sync', more]);
    const back = site.at('more-back');
    await site.json(dataDir, ['restore', 'latest', '--root', 'more', '--target', back]);
    expect(differences(manifestOf(more), manifestOf(back))).toEqual([]);
  });

  test('nothing left at all for the data dir: what only reads still works', async (context) => {
    const disk = smallDisk('none', 110);
    if (disk === undefined) return context.skip('no file system can be mounted here');
    const dataDir = join(disk.folder, 'data');
    cpSync(site.vault, dataDir, { recursive: true });
    chmodSync(dataDir, 0o700);
    fill(disk.folder);
    await site.refuses(dataDir, ['sync', site.tree], {
      exit: 15,
      code: 'E_NO_SPACE',
      message: /free at|no space for the index/,
      hint: /Free some space/,
    });
    await everythingReads(dataDir);
    unfill(disk.folder);
    await site.json(dataDir, ['sync', site.tree]);
  });

  test.each([
    ['a pack without rows', 'pack.renamed'],
    ['entries that the index does not know', 'chain.synced'],
  ])('nothing left after a kill that left %s: what only reads works, and says so', async (_, failpoint) => {
    const disk = smallDisk(failpoint, 110);
    if (disk === undefined) return;
    const dataDir = join(disk.folder, 'data');
    cpSync(site.vault, dataDir, { recursive: true });
    chmodSync(dataDir, 0o700);
    const more = site.at(`more-${failpoint}`);
    mkdirSync(more);
    writeFileSync(join(more, 'file'), pseudoRandom(300_000, 7));
    const killed = await site.run(dataDir, ['sync', more], { env: { EDGESTORE_FAILPOINT: failpoint } });
    expect(killed.signal).toBe('SIGKILL');
    fill(disk.folder);
    await everythingReads(dataDir, /left unfinished is not looked at/);
    await site.refuses(dataDir, ['sync', more], {
      exit: 15,
      code: 'E_NO_SPACE',
      message: /free at|no space for the index/,
      hint: /Free some space/,
    });
    unfill(disk.folder);
    await site.json(dataDir, ['sync', more]);
    const back = site.at(`back-${failpoint}`);
    await site.json(dataDir, ['restore', 'latest', '--root', `more-${failpoint}`, '--target', back]);
    expect(differences(manifestOf(more), manifestOf(back))).toEqual([]);
    await site.json(dataDir, ['scrub', '--all']);
  });

  test('for the index alone: 15, and with room it is built', async (context) => {
    const disk = smallDisk('tiny', 2);
    if (disk === undefined) return context.skip('no file system can be mounted here');
    const dataDir = join(disk.folder, 'data');
    cpSync(site.vault, dataDir, { recursive: true });
    chmodSync(dataDir, 0o700);
    rmSync(join(dataDir, 'index.sqlite'));
    spawnSync('dd', ['if=/dev/zero', `of=${join(disk.folder, 'fill')}`, 'bs=4k']);
    await site.refuses(dataDir, ['ls', 'latest'], {
      exit: 15,
      code: 'E_NO_SPACE',
      message: /tiny\/data/,
      hint: /Free some space/,
    });
    rmSync(join(disk.folder, 'fill'));
    await site.restores(dataDir);
  });

  test('at the target: 15, and the same command goes on when there is some', async (context) => {
    const disk = smallDisk('target', 1);
    if (disk === undefined) return context.skip('no file system can be mounted here');
    writeFileSync(join(disk.folder, 'taken'), Buffer.alloc(500_000));
    const target = join(disk.folder, 'back');
    await site.refuses(site.vault, ['restore', 'latest', '--target', target], {
      exit: 15,
      code: 'E_NO_SPACE',
      message: /no space left at the target .*target\/back/,
      hint: /same command again/,
    });
    disk.grow(10);
    await site.json(site.vault, ['restore', 'latest', '--target', target]);
    expect(differences(site.expected, manifestOf(target))).toEqual([]);
  });
});

test('a file at the target that nobody may change is named: 3, and the rest comes', async (context) => {
  const target = site.at('immutable');
  await site.json(site.vault, ['restore', 'latest', '--target', target]);
  writeFileSync(join(target, 'a.txt'), 'changed\n');
  writeFileSync(join(target, 'sub', 'b.txt'), 'changed\n');
  const fixed = join(target, 'a.txt');
  if (spawnSync('chattr', ['+i', fixed]).status !== 0) {
    process.stderr.write('SKIPPED: no file can be made immutable here (needs root and a file system that has it).\n');
    return context.skip('no file can be made immutable here');
  }
  const there = ['restore', 'latest', '--in-place', '--overwrite', 'always'];
  // In place is where the tree was; it lies elsewhere now, and its folder is the target.
  const moved = `${site.tree} as it was`;
  renameSync(site.tree, moved);
  renameSync(target, site.tree);
  try {
    const { data } = await site.json(site.vault, there, 3);
    expect(data.failures.map(({ path }: { path: string }) => path)).toEqual(['a.txt']);
    expect(readFileSync(join(site.tree, 'sub', 'b.txt'), 'utf8')).toBe('below\n');
    expect(readFileSync(join(site.tree, 'a.txt'), 'utf8')).toBe('changed\n');
  } finally {
    spawnSync('chattr', ['-i', join(site.tree, 'a.txt')]);
    rmSync(site.tree, { recursive: true });
    renameSync(moved, site.tree);
  }
});

test('what cannot be read: 3, named; its earlier version is kept, and it is no deletion', async () => {
  const home = site.at('user');
  mkdirSync(join(home, 'tree', 'closed'), { recursive: true });
  writeFileSync(join(home, 'tree', 'secret'), 'version one\n');
  writeFileSync(join(home, 'tree', 'closed', 'inner'), 'inside\n');
  writeFileSync(join(home, 'tree', 'open'), 'open\n');
  if (isRoot) {
    spawnSync('chown', ['-R', '65534:65534', home]);
    chmodSync(site.folder, 0o755);
  }
  const env = cleanEnvironment(withEnvironment(home, { env: { EDGESTORE_DATA_DIR: join(home, 'data') } }).env);
  const asUser = (...args: string[]) => {
    // Root reads everything, so that it becomes somebody else first.
    const become = isRoot
      ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', process.execPath]
      : [process.execPath];
    const done = spawnSync(become[0]!, [...become.slice(1), EDGESTORE_BIN, ...args, '--json'], {
      env,
      encoding: 'utf8',
      cwd: home,
    });
    return { status: done.status, data: JSON.parse(done.stdout).data };
  };
  expect(asUser('init', '--recovery-out', join(home, 'sheet')).status).toBe(0);
  expect(asUser('sync', join(home, 'tree')).status).toBe(0);
  writeFileSync(join(home, 'tree', 'secret'), 'version two\n');
  writeFileSync(join(home, 'tree', 'open'), 'open two\n');
  chmodSync(join(home, 'tree', 'secret'), 0);
  chmodSync(join(home, 'tree', 'closed'), 0);
  const second = asUser('sync');
  expect(second.status).toBe(3);
  const [root] = second.data.roots;
  expect(root.files).toMatchObject({ removed: 0 });
  expect(root.failures.map((failure: { path: string; code: string }) => [failure.path, failure.code]).sort()).toEqual([
    ['closed', 'EACCES'],
    ['secret', 'EACCES'],
  ]);
  chmodSync(join(home, 'tree', 'closed'), 0o755);
  const back = join(home, 'back');
  expect(asUser('restore', 'latest', '--target', back).status).toBe(0);
  const cat = (name: string): string => spawnSync('cat', [join(back, name)], { encoding: 'utf8' }).stdout;
  spawnSync('chmod', ['-R', 'u+rwX', back]);
  expect([cat('secret'), cat('closed/inner'), cat('open')]).toEqual(['version one\n', 'inside\n', 'open two\n']);
});

test.each([64, 28])('with %i descriptors: it works, or says what is short; no crash, nothing lost', async (limit) => {
  const dataDir = site.copy();
  const many = site.at(`many-${limit}`);
  for (let i = 0; i < 400; i++) {
    mkdirSync(join(many, `folder-${i % 80}`), { recursive: true });
    writeFileSync(join(many, `folder-${i % 80}`, `${i}`), `${i}`);
  }
  const back = site.at(`many-back-${limit}`);
  for (const args of [
    ['sync', many],
    ['restore', 'latest', '--root', `many-${limit}`, '--target', back],
  ]) {
    const done = runWithDescriptors(site, limit, dataDir, args);
    expect(done.signal).toBeUndefined();
    if (limit === 64) expect([args[0], done.exitCode, done.stderr]).toEqual([args[0], 0, '']);
    else if (done.exitCode !== 0) {
      expect(done.exitCode).toBe(1);
      expect(done.stderr).toMatch(/ulimit -n/);
      // With enough of them the same command goes through.
      await site.json(dataDir, args);
    }
  }
  expect(differences(manifestOf(many), manifestOf(back))).toEqual([]);
  await site.restores(dataDir);
});
