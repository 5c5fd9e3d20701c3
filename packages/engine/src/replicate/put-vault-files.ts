/** Descriptor, slots and cards in a bucket: compared with listings in each job, so that one that is gone is put again. */
import { createHash } from 'node:crypto';
import { isEdgeError } from '../core/errors.ts';
import { verifyCard } from '../keys/card.ts';
import { verifyVaultDescriptor } from '../keys/vault-descriptor.ts';
import type { BucketVault } from '../store/bucket/bucket-vault.ts';
import type { ReplicateDeps } from './replicate-deps.ts';

type Files = Pick<BucketVault, 'label' | 'vaultFiles' | 'putDescriptor' | 'putSlot' | 'putCard'>;

interface VaultFile {
  readonly name: string;
  readonly bytes: Uint8Array;
  put(): Promise<boolean>;
}

/**
 * The descriptor is put last: whoever finds a descriptor finds the rest. A newer descriptor or card that another agent put stays; the own copies are
 * brought up to date where this agent next hears of them.
 */
export async function putVaultFiles(
  bucket: Files,
  { files, index, sodium }: Pick<ReplicateDeps, 'files' | 'index' | 'sodium'>,
  adminPublicKey: Uint8Array,
  signal?: AbortSignal,
): Promise<void> {
  const descriptor = await files.descriptor();
  const wanted: VaultFile[] = [
    ...(await files.slots()).map(({ slotId, bytes }) => ({
      name: `slot ${slotId}`,
      bytes,
      put: () => bucket.putSlot(slotId, bytes, signal),
    })),
    ...(await files.cards()).map((card) => ({
      name: `card ${card.agent}-${card.incarnation}`,
      bytes: card.bytes,
      put: () =>
        bucket.putCard(card, card.bytes, signal, (stored) =>
          isNewer(stored, card.bytes, (bytes) => verifyCard(sodium, bytes, adminPublicKey).number),
        ),
    })),
    {
      name: 'descriptor',
      bytes: descriptor,
      put: () =>
        bucket.putDescriptor(descriptor, signal, (stored) =>
          isNewer(stored, descriptor, (bytes) => verifyVaultDescriptor(sodium, bytes, adminPublicKey).epoch),
        ),
    },
  ];
  const there = await bucket.vaultFiles(signal);
  const key = `bucket.files.${bucket.label}`;
  const digests = new Map(Object.entries(JSON.parse(index.kv.get(key) ?? '{}') as Record<string, string>));
  const now: Record<string, string> = {};
  for (const { name, bytes, put } of wanted) {
    const digest = createHash('sha256').update(bytes).digest('hex').slice(0, 16);
    // The listing tells lengths only; the content is the one that was put or compared last.
    if (there.get(name) !== bytes.length || digests.get(name) !== digest) await put();
    now[name] = digest;
  }
  const text = JSON.stringify(now);
  if (index.kv.get(key) !== text) index.kv.set(key, text);
}

/** Bytes that nobody of this vault signed are not newer than anything. */
function isNewer(stored: Uint8Array, own: Uint8Array, numberOf: (bytes: Uint8Array) => number): boolean {
  try {
    return numberOf(stored) > numberOf(own);
  } catch (error) {
    if (!isEdgeError(error, 'E_INTEGRITY', 'E_FORMAT')) throw error;
    return false;
  }
}
