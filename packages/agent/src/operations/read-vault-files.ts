/** What a data dir says of its vault without being opened: descriptor, slots, identity. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type AgentIdentity,
  type DataDir,
  decodeIdentity,
  decodeSlot,
  EdgeError,
  isEdgeError,
  isThere,
  loadSodium,
  type ReportWarning,
  readVaultDescriptor,
  type SlotHeader,
  toEdgeError,
  type VaultId,
  verifySlot,
} from '@edgestore/engine';

export interface VaultFiles {
  readonly vaultId: VaultId;
  /** What members' cards are signed with. */
  readonly adminPublicKey: Uint8Array;
  readonly identity: AgentIdentity;
  /** Those that can be read; damaged ones are warned of. */
  readonly slots: readonly SlotHeader[];
  readonly damagedSlots: readonly { readonly file: string; readonly why: string }[];
  readonly hasStoredKey: boolean;
}

export async function readVaultFiles(dir: DataDir, warn: ReportWarning): Promise<VaultFiles> {
  const sodium = await loadSodium();
  const descriptor = await readNamed(dir.vaultFile, (bytes) => readVaultDescriptor(sodium, bytes));
  const slots: SlotHeader[] = [];
  const damagedSlots: { file: string; why: string }[] = [];
  const slotOf = (bytes: Uint8Array, name: string): SlotHeader => {
    const slot = decodeSlot(bytes);
    if (`${slot.slotId}.slot` !== name)
      throw new EdgeError('E_INTEGRITY', 'it is of another key slot than its name says');
    return slot.scope === 'local' ? slot : verifySlot(sodium, bytes, descriptor.adminPublicKey, descriptor.vaultId);
  };
  for (const name of (await readdir(dir.slotsDir)).filter((n) => /^[0-9a-f]{32}\.slot$/.test(n)).sort()) {
    const file = join(dir.slotsDir, name);
    try {
      slots.push(slotOf(await read(file), name));
    } catch (error) {
      if (!isEdgeError(error, 'E_INTEGRITY', 'E_FORMAT', 'E_NEWER_FORMAT')) throw error;
      damagedSlots.push({ file, why: error.message });
      warn({ code: 'W_DAMAGED_SLOT', message: `${file}: ${error.message}` });
    }
  }
  return {
    vaultId: descriptor.vaultId,
    adminPublicKey: descriptor.adminPublicKey,
    identity: await readNamed(dir.identityFile, decodeIdentity),
    slots,
    damagedSlots,
    hasStoredKey: isThere(dir.storedKeyFile),
  };
}

/** Damage of a file with its path and the way out. */
async function readNamed<Result>(file: string, decode: (bytes: Uint8Array) => Result): Promise<Result> {
  try {
    return decode(await read(file));
  } catch (error) {
    if (!isEdgeError(error, 'E_INTEGRITY', 'E_FORMAT', 'E_IO')) throw error;
    throw new EdgeError(error.code, error.message.includes(file) ? error.message : `${file}: ${error.message}`, {
      hint: 'Bring the file back from a copy of the data dir, or run `edgestore recover` into a new one.',
      context: { ...error.context, path: file },
      cause: error,
    });
  }
}

async function read(file: string): Promise<Uint8Array> {
  try {
    return await readFile(file);
  } catch (error) {
    throw toEdgeError(error, `reading ${file}`);
  }
}
