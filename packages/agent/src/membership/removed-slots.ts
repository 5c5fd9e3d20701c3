/**
 * Key slots that were removed: a file beside each slot's place says so for ever, so that a copy which comes back from an agent that has not heard of it
 * is not taken, shown to a machine under recovery, or put into a bucket again.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import {
  type DataDir,
  decodeSlot,
  isEdgeError,
  readFolder,
  removeIfThere,
  type Sodium,
  syncFolder,
  unlockWithSlots,
  writeFileDurably,
} from '@edgestore/engine';
import { readSlots } from '../home/unlock-vault.ts';
import { readKeyFile } from '../operations/key-file.ts';

const markOf = (dataDir: DataDir, slotId: string): string => join(dataDir.slotsDir, `${slotId}.removed`);

/** Ids, in order. */
export async function removedSlots(dataDir: DataDir): Promise<string[]> {
  const names = await readFolder(dataDir.slotsDir);
  return names.flatMap((name) => /^([0-9a-f]{32})\.removed$/.exec(name)?.[1] ?? []).sort();
}

/** What others may have: all slots here that were not removed. */
export async function publishedSlots(dataDir: DataDir): ReturnType<typeof readSlots> {
  const removed = new Set(await removedSlots(dataDir));
  return (await readSlots(dataDir)).filter((slot) => !removed.has(slot.slotId));
}

/** First the mark: killed in between, the slot is no longer handed out, and removing it again ends it. */
export async function removeSlot(dataDir: DataDir, slotId: string): Promise<void> {
  await writeFileDurably(markOf(dataDir, slotId), new Uint8Array(0), 0o600);
  await removeIfThere(dataDir.slotFile(slotId));
  await syncFolder(dataDir.slotsDir);
}

/**
 * Another agent removed these. A recovery slot stays, since without it a lost disk cannot be recovered; and the file of the slot that this machine's stored
 * key opens, since without it this agent could not start: that one is only handed out no more.
 */
export async function removeSlotsForOthers(
  sodium: Sodium,
  dataDir: DataDir,
  slotIds: readonly string[],
): Promise<void> {
  for (const { slotId, bytes } of (await readSlots(dataDir)).filter((slot) => slotIds.includes(slot.slotId))) {
    if (isRecoverySlot(bytes)) continue;
    if (await opensHere(sodium, dataDir, bytes)) await writeFileDurably(markOf(dataDir, slotId), new Uint8Array(0));
    else await removeSlot(dataDir, slotId);
  }
  const known = new Set([...(await readSlots(dataDir)).map((slot) => slot.slotId), ...(await removedSlots(dataDir))]);
  for (const slotId of slotIds) if (!known.has(slotId)) await removeSlot(dataDir, slotId);
}

function isRecoverySlot(bytes: Uint8Array): boolean {
  try {
    return decodeSlot(bytes).type === 'recovery';
  } catch (error) {
    if (!isEdgeError(error, 'E_INTEGRITY', 'E_FORMAT', 'E_NEWER_FORMAT')) throw error;
    return false;
  }
}

async function opensHere(sodium: Sodium, dataDir: DataDir, bytes: Uint8Array): Promise<boolean> {
  if (!existsSync(dataDir.storedKeyFile)) return false;
  try {
    const secret = readKeyFile(dataDir.storedKeyFile);
    await unlockWithSlots(sodium, [bytes], { type: 'keyfile', secret });
    return true;
  } catch (error) {
    if (!isEdgeError(error)) throw error;
    return false;
  }
}
