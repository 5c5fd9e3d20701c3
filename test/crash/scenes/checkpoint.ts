/** `sync` that ends with a hold checkpoint, over the parts of an earlier one. */
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pseudoRandom } from '../../support/hostile-tree.ts';
import { runAndKill } from '../kill.ts';
import type { Scene } from '../scene.ts';
import { toldBy, Vault } from '../vault.ts';

const CHECKPOINTS = '[limits]\ncheckpoint = "1KiB"\n';
/** More than the vault began with: a checkpoint is due when bodies exceed the parts of the last one. */
const FILES_ADDED = 200;

export async function checkpointScene(): Promise<Scene> {
  const vault = new Vault();
  await vault.make(CHECKPOINTS);
  vault.keep('with a checkpoint');
  const asOfSeqs = (): Set<string> => {
    const chains = join(vault.dataDir, 'chains');
    const [agent = ''] = readdirSync(chains).filter((name) => /^[0-9a-f]{32}$/.test(name));
    return new Set(readdirSync(join(chains, agent, 'parts')).map((name) => name.slice(0, 25)));
  };
  if (asOfSeqs().size !== 1) throw new Error('the first sync made no hold checkpoint');
  for (let i = 0; i < FILES_ADDED; i++) writeFileSync(join(vault.root, `small ${i}`), pseudoRandom(300 + i, 5000 + i));
  return {
    arrange: async () => vault.backTo('with a checkpoint'),
    run: (kill) =>
      runAndKill({
        args: ['sync', vault.root, ...vault.at, '--json'],
        folders: [vault.temporaryPacks, vault.dataDir],
        kill,
      }),
    check: async (run) => {
      if (!run.killed) toldBy(run);
      await vault.lastRestores('after a killed checkpoint');
    },
    finish: async () => {
      const before = asOfSeqs();
      await vault.sync();
      await vault.sync();
      const [now, ...others] = asOfSeqs();
      if (now === undefined || others.length > 0 || before.has(now))
        throw new Error(`parts of ${[now, ...others].join(', ')}, after ${[...before].join(', ')}`);
      await vault.everythingRestores();
    },
    remove: () => vault.remove(),
  };
}
