/** Starts that have something to put right first: no index, a damaged one, packs that are doomed, an unfinished end of the chain. */
import { appendFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runAndKill } from '../kill.ts';
import type { Scene } from '../scene.ts';
import { mustHaveWorked, Vault } from '../vault.ts';

/** The first command after the index was deleted builds it again. */
export async function rebuildScene(): Promise<Scene> {
  const vault = await vaultOfSeveralSyncs();
  return startScene(vault, 'a rebuild', () => removeIndex(vault));
}

/** The index is not SQLite any more: it is set aside, and a new one built. */
export async function damagedIndexScene(): Promise<Scene> {
  const vault = await vaultOfSeveralSyncs();
  return startScene(vault, 'setting the index aside', () => {
    for (const part of ['', '-wal', '-shm']) {
      writeFileSync(join(vault.dataDir, `index.sqlite${part}`), 'this was an index once\n'.repeat(500));
    }
  });
}

/** A merge was killed after its rows were swapped: the old packs' files are still there and have to go. */
export async function doomedPacksScene(): Promise<Scene> {
  const vault = await vaultOfSeveralSyncs();
  for (let i = 0; i < 2; i++) {
    vault.edit(50_000);
    await vault.sync();
  }
  vault.edit(50_000);
  const killed = await runAndKill({
    args: ['sync', vault.root, ...vault.at],
    folders: [],
    kill: { failpoint: { name: 'index.packs-swapped', nth: 1 } },
  });
  if (!killed.killed) throw new Error('no merge took place');
  vault.keep('half merged');
  return startScene(vault, 'removing doomed packs', () => vault.backTo('half merged'));
}

/** An entry's append was cut off by a power loss: its beginning is at the end of the chain. */
export async function tornChainScene(): Promise<Scene> {
  const vault = await vaultOfSeveralSyncs();
  return startScene(vault, 'cutting the chain', () => {
    const torn = Buffer.alloc(70);
    torn.writeUInt32LE(5000);
    torn.write('EDGECHN1', 4);
    appendFileSync(onlyFileBelow(join(vault.dataDir, 'chains')), torn);
  });
}

async function vaultOfSeveralSyncs(): Promise<Vault> {
  const vault = new Vault();
  await vault.make();
  for (let i = 0; i < 4; i++) {
    vault.edit(50_000);
    await vault.sync();
  }
  return vault;
}

/** `status` is the first command after `spoil`; the sync at the end shows that the chain can be written to as before. */
function startScene(vault: Vault, what: string, spoil: () => void): Scene {
  return {
    arrange: async () => spoil(),
    run: (kill) => runAndKill({ args: ['status', ...vault.at], folders: [vault.dataDir], kill }),
    check: async (run) => {
      mustHaveWorked(run, what);
      await vault.lastRestores(`after ${what} was killed`);
    },
    finish: async () => {
      vault.edit();
      await vault.sync();
      await vault.everythingRestores();
    },
    remove: () => vault.remove(),
  };
}

export function removeIndex(vault: Vault): void {
  for (const name of readdirSync(vault.dataDir)) {
    if (name.startsWith('index.sqlite')) rmSync(join(vault.dataDir, name));
  }
}

export function onlyFileBelow(folder: string): string {
  const [file, ...others] = readdirSync(folder, { recursive: true, withFileTypes: true }).filter(
    (entry) => entry.isFile() && entry.name.endsWith('.chain'),
  );
  if (file === undefined || others.length > 0) throw new Error(`not one chain file below ${folder}`);
  return join(file.parentPath, file.name);
}
