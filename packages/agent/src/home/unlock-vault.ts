/** From a data dir and a secret to the vault key. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type DataDir,
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
