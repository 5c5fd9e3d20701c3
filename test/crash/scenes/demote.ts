/** Moving to the cold tier and back: `tier run`, `tier recall`. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { edgestoreJson } from '../../support/edgestore-process.ts';
import { runAndKill } from '../kill.ts';
import type { Scene } from '../scene.ts';
import { mustHaveWorked, Vault } from '../vault.ts';

/** A folder stands for a mounted archive; everything is cold at once. */
function coldConfig(archive: string): string {
  return `[stores.archive]\nurl = "file://${archive}"\n[tiering.default]\nhot = "0s"\nwarm = "0s"\ncold = "archive"\n`;
}

/** Each time a sync adds something that is then moved to the archive and dropped here. */
export async function demoteScene(): Promise<Scene> {
  const vault = new Vault();
  const archive = join(vault.base, 'archive');
  mkdirSync(archive);
  vault.elsewhere.bucket = archive;
  await vault.make(coldConfig(archive));
  const tierRun = ['tier', 'run', '--yes', ...vault.at];
  return {
    arrange: async () => {
      vault.edit();
      await vault.sync();
    },
    run: (kill) => runAndKill({ args: tierRun, folders: [archive, vault.dataDir, vault.temporaryPacks], kill }),
    check: async (run) => {
      mustHaveWorked(run, 'tier run');
      await vault.lastRestores('after a killed tier run');
    },
    finish: async () => {
      await edgestoreJson(tierRun);
      await vault.everythingRestores();
    },
    remove: () => vault.remove(),
  };
}

/** Everything lies in the archive and is brought back. */
export async function recallScene(): Promise<Scene> {
  const vault = new Vault();
  const archive = join(vault.base, 'archive');
  mkdirSync(archive);
  vault.elsewhere.bucket = archive;
  await vault.make(coldConfig(archive));
  await edgestoreJson(['tier', 'run', '--yes', ...vault.at]);
  vault.keep('demoted');
  const recall = ['tier', 'recall', vault.root, ...vault.at];
  return {
    arrange: async () => vault.backTo('demoted'),
    run: (kill) => runAndKill({ args: recall, folders: [vault.dataDir, vault.temporaryPacks], kill }),
    check: async (run) => {
      mustHaveWorked(run, 'tier recall');
      await vault.lastRestores('after a killed recall');
    },
    finish: async () => {
      await edgestoreJson(recall);
      await vault.lastRestores('from the recalled packs', '--from', 'local');
      await vault.everythingRestores();
    },
    remove: () => vault.remove(),
  };
}
