/** The vault descriptor of a data dir, and the memory that keeps it from going back to an older one. */
import type { Sodium } from '../codec/sodium.ts';
import { EdgeError, isEdgeError } from '../core/errors.ts';
import type { ReportWarning } from '../core/ports/progress.ts';
import {
  requireNotOlder,
  type SeenEpoch,
  seenEpochOf,
  type VerifiedDescriptor,
} from '../keys/descriptor-succession.ts';
import { decodeSeenEpoch, encodeSeenEpoch, SEEN_EPOCH_BYTES } from '../keys/seen-epoch.ts';
import { DESCRIPTOR_BYTES_MAX, openVaultDescriptor } from '../keys/vault-descriptor.ts';
import type { VaultBaseKeys, VaultKeys } from '../keys/vault-keys.ts';
import type { DataDir } from './data-dir.ts';
import { writeFileDurably } from './durable-write.ts';
import { readFileUpTo } from './read-file-up-to.ts';

export interface OpenedDescriptor extends VerifiedDescriptor {
  readonly keys: VaultKeys;
}

/**
 * Reads, verifies and compares with the epoch that was seen last.
 *
 * @throws E_INTEGRITY when it is damaged, gone or of another key; E_ROLLBACK when a newer one was seen here; E_FORK; E_NEWER_FORMAT
 */
export async function openDescriptorFile(
  dataDir: DataDir,
  vaultKey: Uint8Array,
  deps: { readonly sodium: Sodium; readonly warn: ReportWarning },
): Promise<OpenedDescriptor> {
  const { sodium } = deps;
  const bytes = await readFileUpTo(dataDir.vaultFile, DESCRIPTOR_BYTES_MAX);
  if (bytes === undefined) throw new EdgeError('E_INTEGRITY', `the vault descriptor is gone: ${dataDir.vaultFile}`);
  const opened = namingFile(dataDir.vaultFile, () => openVaultDescriptor(sodium, bytes, vaultKey));
  const found = { ...opened, bytes };
  const seen = await readSeen(dataDir, opened.keys, deps);
  if (seen !== undefined) requireNotOlder(seen, found, dataDir.vaultFile);
  // A crash between the two writes of `adoptDescriptor` leaves the memory behind.
  if (seen === undefined || seen.epoch < found.descriptor.epoch) await writeSeen(dataDir, opened.keys, found, sodium);
  return found;
}

/** Replaces the descriptor by a newer one. The file is durable before the memory is raised: a crash in between loses nothing. */
export async function adoptDescriptor(
  dataDir: DataDir,
  keys: Pick<VaultBaseKeys, 'vaultId' | 'macKey'>,
  newer: VerifiedDescriptor,
  sodium: Sodium,
): Promise<void> {
  await writeFileDurably(dataDir.vaultFile, newer.bytes);
  await writeSeen(dataDir, keys, newer, sodium);
}

async function writeSeen(
  dataDir: DataDir,
  keys: Pick<VaultBaseKeys, 'vaultId' | 'macKey'>,
  seen: VerifiedDescriptor,
  sodium: Sodium,
): Promise<void> {
  await writeFileDurably(dataDir.seenEpochFile, encodeSeenEpoch(sodium, keys, seenEpochOf(seen)));
}

/** Undefined when there is none yet. A damaged one is told and made again: the descriptor itself still verifies. */
async function readSeen(
  dataDir: DataDir,
  keys: VaultKeys,
  { sodium, warn }: { readonly sodium: Sodium; readonly warn: ReportWarning },
): Promise<SeenEpoch | undefined> {
  const bytes = await readFileUpTo(dataDir.seenEpochFile, SEEN_EPOCH_BYTES);
  if (bytes === undefined) return undefined;
  try {
    return decodeSeenEpoch(sodium, keys, bytes);
  } catch (error) {
    if (!isEdgeError(error, 'E_INTEGRITY', 'E_FORMAT')) throw error;
    warn({
      code: 'W_EPOCH_MEMORY_DAMAGED',
      message: `${dataDir.seenEpochFile}: ${error.message}. It is made again from vault.edge, so an older vault.edge would not be noticed now`,
    });
    return undefined;
  }
}

function namingFile<Result>(file: string, run: () => Result): Result {
  try {
    return run();
  } catch (error) {
    if (!isEdgeError(error, 'E_INTEGRITY', 'E_FORMAT', 'E_NEWER_FORMAT')) throw error;
    throw new EdgeError(error.code, `${file}: ${error.message}`, {
      ...(error.hint === undefined ? {} : { hint: error.hint }),
      context: { ...error.context, path: file },
      cause: error,
    });
  }
}
