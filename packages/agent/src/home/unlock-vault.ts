/** From a data dir and a secret to the vault key. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type DataDir,
  EdgeError,
  loadSodium,
  readFolder,
  requireDataDir,
  type SlotSecret,
  toEdgeError,
  unlockWithSlots,
} from '@edgestore/engine';

/** 32 bytes. E_NO_VAULT, E_WRONG_KEY, E_INTEGRITY for a damaged slot that might have opened. */
export async function unlockVault(dataDir: DataDir, secret: SlotSecret): Promise<Uint8Array> {
  await requireDataDir(dataDir);
  const slots = (await readSlots(dataDir)).map((slot) => slot.bytes);
  if (slots.length === 0) {
    // No secret opens a vault without slots: that is a loss, and no wrong passphrase.
    throw new EdgeError('E_INTEGRITY', `the vault has no key slots: nothing is in ${dataDir.slotsDir}`, {
      hint: 'Bring the slots back from a copy of the data dir or from the bucket, or run `edgestore recover` into a new one.',
      context: { path: dataDir.slotsDir },
    });
  }
  const { vaultKey } = await unlockWithSlots(await loadSodium(), slots, secret);
  return vaultKey;
}

/** The key slots as they lie on disk; none of them is checked. */
export async function readSlots(dataDir: DataDir): Promise<{ readonly slotId: string; readonly bytes: Uint8Array }[]> {
  const out: { slotId: string; bytes: Uint8Array }[] = [];
  for (const name of await readFolder(dataDir.slotsDir)) {
    const match = /^([0-9a-f]{32})\.slot$/.exec(name);
    if (match === null) continue;
    const file = join(dataDir.slotsDir, name);
    try {
      out.push({ slotId: match[1]!, bytes: await readFile(file) });
    } catch (error) {
      throw toEdgeError(error, `reading ${file}`);
    }
  }
  return out;
}
