/** `init`: nothing is acknowledged before it ends, so all that must hold is that it can be run again and then everything works. */
import { rmSync } from 'node:fs';
import { edgestoreJson } from '../../support/edgestore-process.ts';
import { runAndKill } from '../kill.ts';
import type { Scene } from '../scene.ts';
import { mustHaveWorked, Vault } from '../vault.ts';

export async function initScene(): Promise<Scene> {
  const vault = new Vault();
  await vault.make();
  const init = ['init', ...vault.at, '--recovery-out', vault.sheet];
  return {
    arrange: async () => {
      rmSync(vault.dataDir, { recursive: true, force: true });
      rmSync(vault.sheet, { force: true });
      vault.journal.entries.length = 0;
    },
    run: (kill) => runAndKill({ args: init, folders: [vault.base], kill }),
    check: async (run) => {
      mustHaveWorked(run, 'init');
      await edgestoreJson(init);
      await vault.sync();
      await vault.lastRestores('after a killed init');
    },
    finish: async () => {
      // The sheet that lies there is that of the vault that came to be, not of one that was killed.
      await edgestoreJson(['key', 'check-recovery', '--recovery-file', vault.sheet, ...vault.at]);
      await vault.everythingRestores();
    },
    remove: () => vault.remove(),
  };
}
