/** `restore`: the same command again goes on where it was killed, and leaves nothing behind. */
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { differences } from '../../oracle/manifest.ts';
import { runEdgestore } from '../../support/edgestore-process.ts';
import { treeOf } from '../journal.ts';
import { runAndKill } from '../kill.ts';
import type { Scene } from '../scene.ts';
import { mustHaveWorked, Vault } from '../vault.ts';

/** Into a folder that is not there: it appears all at once. */
export function restoreScene(): Promise<Scene> {
  return sceneOf(false);
}

/** Into an empty folder that is there, e.g. a mount point. */
export function restoreInsideScene(): Promise<Scene> {
  return sceneOf(true);
}

async function sceneOf(isThere: boolean): Promise<Scene> {
  const vault = new Vault();
  await vault.make();
  vault.edit(3_000_000);
  await vault.sync();
  const place = join(vault.base, 'place');
  const target = join(place, 'out');
  const restore = ['restore', 'latest', '--target', target, ...vault.at];
  return {
    arrange: async () => {
      rmSync(place, { recursive: true, force: true });
      mkdirSync(isThere ? target : place, { recursive: true });
    },
    run: (kill) => runAndKill({ args: restore, folders: isThere ? [place, target] : [place], kill }),
    check: async (run) => {
      mustHaveWorked(run, 'restore');
      const wanted = vault.journal.last!.manifest;
      if (run.killed) {
        const again = await runEdgestore(restore);
        // 2: the killed run had come to its end, and a target with something in it is refused.
        if (again.exitCode !== 0 && again.exitCode !== 2)
          throw new Error(`the second restore ended with ${again.exitCode}\n${again.stdout}${again.stderr}`);
      }
      const found = differences(wanted, treeOf(target), 5);
      if (found.length > 0) throw new Error(`what was restored is different\n${found.join('\n')}`);
      const left = readdirSync(place).filter((name) => name !== 'out');
      if (left.length > 0) throw new Error(`left behind beside the target: ${left.join(', ')}`);
    },
    finish: () => vault.everythingRestores(),
    remove: () => vault.remove(),
  };
}
