/**
 * A sync where the own chain's file ends before the index. The bucket has a part of what is missing: that comes back,
 * the rest is given up and told. Wherever it is killed, the next sync ends it: what the bucket has is there with its
 * own numbers, and nothing else is lost.
 */
import { truncateSync } from 'node:fs';
import { join } from 'node:path';
import { chainFilesBelow, entriesIn } from '../../support/chain-files.ts';
import { edgestoreJson } from '../../support/edgestore-process.ts';
import { runAndKill } from '../kill.ts';
import type { Scene } from '../scene.ts';
import { mustHaveWorked, type SyncData } from '../vault.ts';
import { vaultWithBucket } from './bucket.ts';

/** Of the snapshot that the bucket lacks: an add and a record; the record before them is missing in part. */
const ENTRIES_CUT = 3;

export async function missingTailScene(): Promise<Scene> {
  const { vault } = await vaultWithBucket();
  vault.edit(50_000);
  await vault.sync('--wait', 's3');
  vault.edit(50_000);
  // Recorded here alone, and lost with the end of the file.
  const { roots } = await edgestoreJson<SyncData>(['sync', vault.root, ...vault.at]);
  const lost = roots[0]!.snapshot;
  const [file] = chainFilesBelow(join(vault.dataDir, 'chains')) as [string];
  truncateSync(file, entriesIn(file).at(-ENTRIES_CUT)!.at + 100);
  vault.keep('cut');
  return {
    arrange: async () => vault.backTo('cut'),
    run: (kill) => runAndKill({ args: ['sync', vault.root, '--json', ...vault.at], folders: [vault.dataDir], kill }),
    check: async (run) => {
      mustHaveWorked(run, 'sync');
      if (run.killed) await edgestoreJson(['sync', vault.root, ...vault.at]);
      else if (
        !/W_TAIL_LOST.*Lost snapshots: /.test(run.stdout.replaceAll('\n', ' ')) ||
        !run.stdout.includes(lost.slice(0, 8))
      )
        throw new Error(`the lost snapshot was not named\n${run.stdout}`);
      const { snapshots } = await edgestoreJson<{ snapshots: { id: string }[] }>(['snapshot', 'list', ...vault.at]);
      if (snapshots.some(({ id }) => id === lost)) throw new Error('a snapshot that is not in the chain is listed');
      await vault.lastRestores('after the end of the chain came back');
    },
    finish: async () => {
      vault.edit();
      // The bucket takes what follows: no number that it knows was used for another entry.
      await vault.sync('--wait', 's3');
      vault.beliefsHold('s3');
      await vault.everythingRestores();
    },
    remove: () => vault.remove(),
  };
}
