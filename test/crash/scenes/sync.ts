/** `sync`: of changes, with a merge of small packs, and interrupted on its first run. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pseudoRandom } from '../../support/hostile-tree.ts';
import { treeOf } from '../journal.ts';
import { runAndKill } from '../kill.ts';
import type { Scene } from '../scene.ts';
import { mustHaveWorked, toldBy, Vault } from '../vault.ts';

/** Every so many killed runs one is run to its end, so that there is something new that must not be lost. */
const ACKNOWLEDGE_EVERY = 4;

/** State that grows from run to run; with time the small packs of earlier runs are merged. */
export async function syncScene(): Promise<Scene> {
  const vault = new Vault();
  await vault.make();
  let manifest = treeOf(vault.root);
  let turns = 0;
  return {
    arrange: async () => {
      if (++turns % ACKNOWLEDGE_EVERY === 0) await vault.sync();
      vault.edit();
      manifest = treeOf(vault.root);
    },
    run: (kill) =>
      runAndKill({
        args: ['sync', vault.root, ...vault.at, '--json'],
        folders: [vault.temporaryPacks, vault.dataDir],
        kill,
      }),
    check: async (run) => {
      if (!run.killed) vault.acknowledge(toldBy(run), manifest);
      await vault.lastRestores('after a killed sync');
    },
    finish: async () => {
      await vault.sync();
      await vault.everythingRestores();
    },
    remove: () => vault.remove(),
  };
}

/** Seven small packs of each class lie there each time, so the sync that is killed merges them with its own. */
export async function mergeScene(): Promise<Scene> {
  const vault = new Vault();
  await vault.make();
  for (let i = 0; i < 6; i++) {
    vault.edit(60_000);
    await vault.sync();
  }
  vault.keep('unmerged');
  vault.edit(60_000);
  return {
    arrange: async () => vault.backTo('unmerged'),
    run: (kill) =>
      runAndKill({
        args: ['sync', vault.root, ...vault.at, '--json'],
        folders: [vault.temporaryPacks, vault.dataDir],
        kill,
      }),
    check: async (run) => {
      if (!run.killed) toldBy(run);
      await vault.lastRestores('after a killed merge');
    },
    finish: async () => {
      await vault.sync();
      await vault.everythingRestores();
    },
    remove: () => vault.remove(),
  };
}

/**
 * The first sync of a larger root is told to stop while it reads, and killed while it puts away what it has so far. Nothing is acknowledged by
 * then but the small root synced before.
 */
export async function interruptedScene(): Promise<Scene> {
  const vault = new Vault();
  await vault.make();
  vault.keep('before');
  const large = join(vault.base, 'large');
  mkdirSync(large);
  for (let i = 0; i < 300; i++) {
    const folder = join(large, `part ${i % 30}`);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, `file ${i}`), pseudoRandom(100_000 + i * 100, 7000 + i));
  }
  const manifest = treeOf(large);
  return {
    arrange: async () => vault.backTo('before'),
    run: (kill) =>
      runAndKill({
        args: ['sync', large, ...vault.at, '--json'],
        folders: [vault.temporaryPacks],
        kill,
        onFirstWrite: (child) => child.kill('SIGINT'),
      }),
    check: async (run) => {
      // 0: it was done before it heard of the interruption.
      mustHaveWorked(run, 'an interrupted sync', [130, 0]);
      await vault.lastRestores('after a killed interruption');
    },
    finish: async () => {
      const { roots } = await vault.syncOf(large);
      vault.acknowledge(roots[0]?.snapshot, manifest);
      await vault.everythingRestores();
    },
    remove: () => vault.remove(),
  };
}
