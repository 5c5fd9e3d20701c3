/** A store that holds a copy of everything (a folder, as on a mounted disk): putting it there, learning it again, and mending from it. */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { edgestoreJson } from '../../support/edgestore-process.ts';
import { runAndKill } from '../kill.ts';
import type { Scene } from '../scene.ts';
import { mustHaveWorked, Vault } from '../vault.ts';
import { removeIndex } from './rebuild.ts';

export function bucketConfig(bucket: string): string {
  return `[stores.offsite]\nurl = "file://${bucket}"\n[replication.default]\ncopies = 1\nsites = 1\nstore = "offsite"\n`;
}

/** A vault whose bucket has all of its first snapshot. */
export async function vaultWithBucket(): Promise<{ vault: Vault; bucket: string }> {
  const vault = new Vault();
  const bucket = join(vault.base, 'bucket');
  mkdirSync(bucket);
  vault.elsewhere.bucket = bucket;
  await vault.make(bucketConfig(bucket));
  vault.edit();
  await vault.sync('--wait', 's3');
  return { vault, bucket };
}

/** A sync that waits until the bucket has everything too. */
export async function bucketScene(): Promise<Scene> {
  const { vault, bucket } = await vaultWithBucket();
  return {
    arrange: async () => {
      vault.edit();
      await vault.sync();
      // A prefix whose id alone is gone gets another one, before anything else is put.
      for (const name of readdirSync(bucket)) rmSync(join(bucket, name, 'store.id'), { force: true });
    },
    run: (kill) =>
      runAndKill({
        args: ['sync', vault.root, '--wait', 's3', ...vault.at],
        folders: [bucket, vault.dataDir],
        kill,
      }),
    check: async (run) => {
      mustHaveWorked(run, 'sync --wait s3');
      await vault.lastRestores('after a killed replication');
    },
    finish: async () => {
      await vault.sync('--wait', 's3');
      vault.beliefsHold('s3');
      await vault.everythingRestores();
      // What the bucket was said to have, a machine that has nothing else gets from it.
      const recovered = join(vault.base, 'recovered');
      await edgestoreJson([
        ...['recover', '--from', `file://${bucket}`, '--recovery-file', vault.sheet],
        ...['--data-dir', recovered],
      ]);
      await vault.lastRestoresIn(recovered, 'from the bucket alone');
    },
    remove: () => vault.remove(),
  };
}

/** The index is gone, and with it the knowledge of what lies in the bucket only. */
export async function relearnScene(): Promise<Scene> {
  const { vault, bucket } = await vaultWithBucket();
  return {
    arrange: async () => removeIndex(vault),
    run: (kill) => runAndKill({ args: ['status', ...vault.at], folders: [vault.dataDir], kill }),
    check: async (run) => {
      mustHaveWorked(run, 'learning the bucket');
      // Without the local packs: only who knows the bucket again can read from it.
      await vault.lastRestores('after learning was killed', '--from', 's3');
    },
    finish: async () => {
      if (!existsSync(bucket)) throw new Error('the bucket is gone');
      await vault.everythingRestores();
    },
    remove: () => vault.remove(),
  };
}

/** A pack on this disk has rotted; the bucket has all of it. */
export async function scrubRepairScene(): Promise<Scene> {
  const { vault } = await vaultWithBucket();
  vault.keep('whole');
  const repair = ['scrub', '--all', '--repair', ...vault.at];
  return {
    arrange: async () => {
      vault.backTo('whole');
      for (const pack of packsOf(vault.dataDir)) flip(pack);
    },
    run: (kill) => runAndKill({ args: repair, folders: [vault.dataDir, vault.temporaryPacks], kill }),
    check: async (run) => {
      mustHaveWorked(run, 'scrub --repair', [0, 20]);
      await vault.lastRestores('after a killed repair');
    },
    finish: async () => {
      await edgestoreJson(repair, { exitCodes: [0, 20] });
      await vault.lastRestores('from the mended packs', '--from', 'local');
      await vault.everythingRestores();
    },
    remove: () => vault.remove(),
  };
}

function packsOf(dataDir: string): string[] {
  return readdirSync(join(dataDir, 'packs'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.pack'))
    .map((entry) => join(entry.parentPath, entry.name));
}

/** One byte within the first chunk. */
function flip(pack: string): void {
  const bytes = readFileSync(pack);
  bytes[200] = (bytes[200] ?? 0) ^ 0x40;
  writeFileSync(pack, bytes);
}

/** Puts a folder back to how it was kept. */
export function putBack(folder: string, kept: string): void {
  rmSync(folder, { recursive: true, force: true });
  cpSync(kept, folder, { recursive: true });
}
