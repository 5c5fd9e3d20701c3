/** `recover` into an empty folder from a bucket that has everything; a killed one is run again and must come to the same end. */
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { runEdgestore } from '../../support/edgestore-process.ts';
import { runAndKill } from '../kill.ts';
import type { Scene } from '../scene.ts';
import { mustHaveWorked } from '../vault.ts';
import { putBack, vaultWithBucket } from './bucket.ts';

export async function recoverScene(): Promise<Scene> {
  const { vault, bucket } = await vaultWithBucket();
  const pristine = join(vault.base, 'bucket as it was');
  cpSync(bucket, pristine, { recursive: true });
  const recovered = join(vault.base, 'recovered');
  const recover = [
    ...['recover', '--from', `file://${bucket}`, '--recovery-file', vault.sheet],
    ...['--data-dir', recovered],
  ];
  return {
    arrange: async () => {
      rmSync(recovered, { recursive: true, force: true });
      putBack(bucket, pristine);
    },
    run: (kill) => runAndKill({ args: recover, folders: [vault.base], kill }),
    check: async (run) => {
      mustHaveWorked(run, 'recover');
      if (run.killed) {
        const again = await runEdgestore(recover);
        // A recovery that was killed after its last step is a data dir, and restoring works without more ado.
        const isDone = again.exitCode === 2 && /data dir already/.test(again.stdout + again.stderr);
        if (again.exitCode !== 0 && !isDone)
          throw new Error(`recover after a kill ended with ${again.exitCode}\n${again.stdout}${again.stderr}`);
      }
      await vault.lastRestoresIn(recovered, 'after a killed recover');
    },
    finish: async () => vault.everythingRestores(),
    remove: () => vault.remove(),
  };
}
