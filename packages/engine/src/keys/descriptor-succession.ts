/** Which of two descriptors of a vault counts. Both were verified with the admin key that is known here. See docs/formats/vault.md. */
import { createHash } from 'node:crypto';
import { bytesEqual } from '../core/bytes.ts';
import { EdgeError } from '../core/errors.ts';
import type { KeyTableRow, VaultDescriptor } from './vault-descriptor.ts';

export interface VerifiedDescriptor {
  readonly descriptor: VaultDescriptor;
  readonly bytes: Uint8Array;
}

/** The highest epoch that was seen, and the descriptor that had it: what a data dir remembers apart from the descriptor itself. */
export interface SeenEpoch {
  readonly epoch: number;
  /** SHA-256 of the descriptor. */
  readonly digest: Uint8Array;
}

export function seenEpochOf({ descriptor, bytes }: VerifiedDescriptor): SeenEpoch {
  return { epoch: descriptor.epoch, digest: createHash('sha256').update(bytes).digest() };
}

/** Refuses a descriptor that is older than what was seen (E_ROLLBACK), or another one of the same epoch (E_FORK). */
export function requireNotOlder(seen: SeenEpoch, found: VerifiedDescriptor, where: string): void {
  const { epoch, digest } = seenEpochOf(found);
  if (epoch < seen.epoch) {
    throw new EdgeError('E_ROLLBACK', `${where} has epoch ${epoch}, but epoch ${seen.epoch} was seen here before`, {
      hint: 'An older vault.edge was put back. Take the newer one from another agent or the bucket.',
      context: { epoch, seen: seen.epoch },
    });
  }
  if (epoch === seen.epoch && !bytesEqual(digest, seen.digest)) throw fork(where, epoch);
}

/**
 * `newer` when the found descriptor follows the one here, `same`, or `older`.
 *
 * @throws E_FORK when it contradicts the one here: another one of the same epoch, another predecessor, or a change of what never changes
 */
export function compareDescriptors(
  here: VerifiedDescriptor,
  found: VerifiedDescriptor,
  where: string,
): 'newer' | 'same' | 'older' {
  const [now, then] = [here.descriptor, found.descriptor];
  if (then.epoch < now.epoch) return 'older';
  if (then.epoch === now.epoch) {
    if (bytesEqual(here.bytes, found.bytes)) return 'same';
    throw fork(where, then.epoch);
  }
  const followsDirectly = then.epoch === now.epoch + 1;
  if (followsDirectly && !bytesEqual(then.previous ?? new Uint8Array(0), seenEpochOf(here).digest))
    throw fork(where, then.epoch);
  const changed = changedForEver(now, then);
  if (changed !== undefined) {
    throw new EdgeError(
      'E_FORK',
      `${where}: the descriptor of epoch ${then.epoch} has another ${changed}, which never changes`,
      {
        hint: 'The descriptor here goes on counting. Find out who signed the other one with the admin key.',
        context: { epoch: then.epoch, here: now.epoch },
      },
    );
  }
  return 'newer';
}

/** Chunks name their generation for ever, so a row stays as it was. */
function changedForEver(a: VaultDescriptor, b: VaultDescriptor): string | undefined {
  if (a.vaultId !== b.vaultId) return 'vault id';
  if (!bytesEqual(a.adminPublicKey, b.adminPublicKey)) return 'admin key';
  if (!bytesEqual(a.proofPublicKey, b.proofPublicKey)) return 'recovery proof key';
  const { name, min, avg, max } = a.chunker;
  if (b.chunker.name !== name || b.chunker.min !== min || b.chunker.avg !== avg || b.chunker.max !== max)
    return 'chunker';
  return a.keyTable.every((row, at) => isSameRow(row, b.keyTable[at])) ? undefined : 'key generation';
}

function isSameRow(row: KeyTableRow, other: KeyTableRow | undefined): boolean {
  return other !== undefined && row.keyId === other.keyId && bytesEqual(row.wrapped, other.wrapped);
}

function fork(where: string, epoch: number): EdgeError {
  return new EdgeError('E_FORK', `${where}: another descriptor of epoch ${epoch} is signed than the one here`, {
    hint: 'The descriptor here goes on counting. Two machines changed the vault at once: find out which change is meant.',
    context: { epoch },
  });
}
