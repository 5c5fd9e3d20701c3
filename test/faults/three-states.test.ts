/**
 * Unreadable, absent and damaged are three states, and none of them is for ever: a good read lifts a mark, and nothing is given up on suspicion. One
 * machine, no other copy: the only copy of a file is in a pack here.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect } from 'vitest';
import { pseudoRandom } from '../support/hostile-tree.ts';
import { faultTest } from './fault-test.ts';
import { cutShort, dataPacksBelow, filesBelow, flipByte, packsBelow } from './kit/media.ts';
import { type FaultyRun, READS, runWithSyscallFaults } from './kit/syscall-faults.ts';
import { OwnerAndHolders } from './owner-and-holders.ts';

let scene: OwnerAndHolders;
afterEach(() => scene.remove());

const strace = { needs: ['strace'] as const };
const removeIndex = (): void => {
  for (const path of filesBelow(scene.vault.dataDir).filter((name) => /index\.sqlite[^/]*$/.test(name))) rmSync(path);
};

/** Seven syncs of one new file each; gives the data pack that came with the third. */
async function sevenSyncs(): Promise<string> {
  scene = await OwnerAndHolders.make({ files: false });
  let third = '';
  for (let i = 1; i <= 7; i++) {
    const before = new Set(dataPacksBelow(scene.vault.dataDir));
    writeFileSync(join(scene.root, `f${i}`), pseudoRandom(100_000, 40 + i));
    await scene.mustSync('local');
    if (i === 3) third = dataPacksBelow(scene.vault.dataDir).find((path) => !before.has(path)) ?? '';
  }
  expect(existsSync(third), 'the third data pack, not merged yet').toBe(true);
  return third;
}

const statusCheck = async (): Promise<number | undefined> => (await scene.run(['status', '--check'])).exitCode;

faultTest(
  'a merge that cannot read a frame now keeps its pack, and says so',
  async () => {
    const pack = await sevenSyncs();
    rmSync(join(scene.root, 'f3'));
    const unreadable = [{ calls: READS, error: 'EIO', when: '1', files: [pack] }];
    let run: FaultyRun | undefined;
    // When small packs are merged is the program's own affair; one of the next syncs does it.
    for (let turn = 1; turn <= 5 && (run?.injected ?? 0) === 0; turn++) {
      writeFileSync(join(scene.root, `g${turn}`), pseudoRandom(90_000, 90 + turn));
      run = await runWithSyscallFaults(['sync', scene.root, ...scene.at], unreadable);
    }
    if (run === undefined) throw new Error('nothing ran');
    expect(run.injected).toBeGreaterThan(0);
    expect(scene.brokenBeliefs()).toEqual([]);
    expect(existsSync(pack), 'the pack that could not be read').toBe(true);
    expect(run.stderr).toMatch(/could not be read|unreadable|EIO/i);
    await scene.everythingRestores('after an EIO in a merge');
  },
  strace,
);

faultTest(
  'a scrub on a disk that gave EIO once makes no later merge delete what is good again',
  async () => {
    await sevenSyncs();
    const packs = packsBelow(scene.vault.dataDir);
    const scrub = await runWithSyscallFaults(
      ['scrub', '--all', ...scene.at],
      [{ calls: READS, error: 'EIO', files: packs }],
    );
    expect(scrub.injected).toBeGreaterThan(0);
    expect(scrub.exitCode).toBe(20);
    expect(await statusCheck()).toBe(20);
    for (let i = 8; i <= 9; i++) {
      writeFileSync(join(scene.root, `f${i}`), pseudoRandom(100_000, 40 + i));
      await scene.mustSync('local');
      expect(scene.brokenBeliefs()).toEqual([]);
    }
    await scene.everythingRestores('after EIO in a scrub');
  },
  strace,
);

faultTest(
  'a good read lifts the mark of a bad one: scrub and status are well again',
  async () => {
    scene = await OwnerAndHolders.make();
    const scrub = ['scrub', '--all', ...scene.at];
    const bad = await runWithSyscallFaults(scrub, [
      { calls: READS, error: 'EIO', files: packsBelow(scene.vault.dataDir) },
    ]);
    expect([bad.exitCode, await statusCheck()]).toEqual([20, 20]);
    expect((await scene.run(['scrub', '--all'])).exitCode).toBe(0);
    expect(await statusCheck()).toBe(0);
    await scene.everythingRestores('after a good scrub', '--from', 'local');
  },
  strace,
);

faultTest('a damaged frame is a finding until it is whole again, through a rebuild of the index too', async () => {
  scene = await OwnerAndHolders.make();
  const [pack = ''] = dataPacksBelow(scene.vault.dataDir);
  flipByte(pack, 200);
  expect((await scene.run(['scrub', '--all'])).exitCode).toBe(20);
  expect(await statusCheck()).toBe(20);
  removeIndex();
  expect(await statusCheck(), 'after a rebuild').toBe(20);
  expect(existsSync(pack)).toBe(true);
  flipByte(pack, 200);
  expect((await scene.run(['scrub', '--all'])).exitCode).toBe(0);
  expect(await statusCheck()).toBe(0);
});

faultTest(
  'a pack that went is a finding in that very run and ever after, until its chunks are stored again',
  async () => {
    scene = await OwnerAndHolders.make();
    const [pack = ''] = dataPacksBelow(scene.vault.dataDir);
    const kept = readFileSync(pack);
    rmSync(pack);
    expect([await statusCheck(), await statusCheck()]).toEqual([20, 20]);
    removeIndex();
    expect(await statusCheck(), 'after a rebuild').toBe(20);
    writeFileSync(pack, kept, { mode: 0o600 });
    await scene.run(['scrub', '--all']);
    expect(await statusCheck(), 'after the pack is back').toBe(0);
    rmSync(pack);
    expect(await statusCheck()).toBe(20);
    await scene.mustSync('local');
    expect(scene.brokenBeliefs()).toEqual([]);
    expect(await statusCheck(), 'after a sync').toBe(0);
  },
);

faultTest(
  'frames that were salvaged from a damaged pack do not pass for stored when they are bad themselves',
  async () => {
    scene = await OwnerAndHolders.make();
    const [pack = ''] = dataPacksBelow(scene.vault.dataDir);
    flipByte(pack, 200);
    // Its index is gone, so the pack is salvaged frame by frame.
    cutShort(pack, 30);
    removeIndex();
    const sync = await scene.sync('local', '--full-scan');
    expect(sync.exitCode, sync.stderr).toBe(0);
    expect(scene.brokenBeliefs()).toEqual([]);
    await scene.everythingRestores('after a full scan');
  },
);

faultTest(
  'without an index and with EIO in one pack every command works but for what that pack has',
  async () => {
    const pack = await sevenSyncs();
    removeIndex();
    const unreadable = [{ calls: READS, error: 'EIO', files: [pack] }];
    const status = await runWithSyscallFaults(['status', '--check', ...scene.at], unreadable);
    expect(status.injected).toBeGreaterThan(0);
    expect(status.exitCode, status.stderr).toBe(20);
    removeIndex();
    const target = join(scene.vault.base, 'part');
    const restore = await runWithSyscallFaults(['restore', 'latest', '--target', target, ...scene.at], unreadable);
    expect(restore.exitCode, restore.stderr).toBe(3);
    expect(readFileSync(join(target, 'f7'))).toEqual(readFileSync(join(scene.root, 'f7')));
    removeIndex();
    const repair = await runWithSyscallFaults(['scrub', '--all', '--repair', ...scene.at], unreadable);
    expect(repair.exitCode, repair.stderr).toBe(20);
    expect(existsSync(pack)).toBe(true);
    await scene.everythingRestores('when the pack is readable again');
  },
  strace,
);

faultTest(
  'a read that is cut short is finished, not taken for the end of a file',
  async () => {
    scene = await OwnerAndHolders.make();
    const packs = packsBelow(scene.vault.dataDir);
    const scrub = await runWithSyscallFaults(
      ['scrub', '--all', ...scene.at],
      [{ calls: 'pread64', returns: 0, when: '2', files: packs }],
    );
    expect([0, 7, 20], scrub.stderr).toContain(scrub.exitCode);
    expect((await scene.run(['scrub', '--all'])).exitCode).toBe(0);
    expect(scene.brokenBeliefs()).toEqual([]);
    await scene.everythingRestores('after a short read');
  },
  strace,
);
