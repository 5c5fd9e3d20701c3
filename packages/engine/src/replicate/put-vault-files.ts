/** Descriptor, key slots, removal marks and cards in a bucket: newer ones that lie there are learned, older ones replaced, never the other way. */
import { createHash } from 'node:crypto';
import type { BucketVault } from '../store/bucket/bucket-vault.ts';
import type { ReplicateDeps } from './replicate-deps.ts';

export type BucketVaultFiles = Pick<
  BucketVault,
  | 'label'
  | 'vaultFiles'
  | 'descriptor'
  | 'putDescriptor'
  | 'slots'
  | 'putSlot'
  | 'slotNames'
  | 'slotRemovals'
  | 'putSlotRemoval'
  | 'putCard'
>;

type Deps = Pick<ReplicateDeps, 'files' | 'index'>;

/** The descriptor is put last: whoever finds a descriptor finds the rest. */
export async function putVaultFiles(
  target: string,
  bucket: BucketVaultFiles,
  deps: Deps,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { files } = deps;
  await learnVaultFiles(bucket, deps, signal);
  const descriptor = await files.descriptor();
  const [slots, removals, cards] = [await files.slots(), (await files.removals?.()) ?? [], await files.cards()];
  const digest = createHash('sha256');
  for (const { bytes } of [{ bytes: descriptor }, ...removals, ...slots, ...cards]) digest.update(bytes);
  const now = digest.digest('hex');
  const key = `bucket.files.${target}`;
  const there = await bucket.vaultFiles(signal);
  const lengths = new Map<string, number>([
    ['descriptor', descriptor.length],
    ...slots.map(({ slotId, bytes }) => [`slot ${slotId}`, bytes.length] as const),
    ...removals.map(({ slotId, bytes }) => [`removal ${slotId}`, bytes.length] as const),
    ...cards.map(({ agent, incarnation, bytes }) => [`card ${agent}-${incarnation}`, bytes.length] as const),
  ]);
  // The listing tells lengths only; the content is the one that was put or compared last. One that is gone is put again.
  const isThere = [...lengths].every(([name, length]) => there.get(name) === length);
  if (isThere && deps.index.kv.get(key) === now) return;
  const judge = (kind: VaultFileKind) => (stored: Uint8Array) =>
    files.mayReplace?.(kind, stored, bucket.label) ?? Promise.resolve(true);
  for (const one of removals) await bucket.putSlotRemoval(one.slotId, one.bytes, signal, judge('removal'));
  for (const one of slots) await bucket.putSlot(one.slotId, one.bytes, signal, judge('slot'));
  for (const card of cards) await bucket.putCard(card, card.bytes, signal, judge('card'));
  await bucket.putDescriptor(descriptor, signal, judge('descriptor'));
  deps.index.kv.set(key, now);
}

export type VaultFileKind = 'descriptor' | 'slot' | 'removal' | 'card';

/** One listing and one read in each job: a higher epoch, and slots and marks that are not known here. */
async function learnVaultFiles(
  bucket: BucketVaultFiles,
  { files }: Deps,
  signal: AbortSignal | undefined,
): Promise<void> {
  const learn = files.mayReplace;
  if (learn === undefined) return;
  const descriptor = await bucket.descriptor(signal);
  // An empty prefix has nothing to say.
  if (descriptor === undefined) return;
  await learn('descriptor', descriptor, bucket.label);
  const names = await bucket.slotNames(signal);
  const marks = new Set((await files.removals?.())?.map(({ slotId }) => slotId));
  if ([...names.removals].some((slotId) => !marks.has(slotId)))
    for (const { bytes } of await bucket.slotRemovals(signal)) await learn('removal', bytes, bucket.label);
  const known = new Set((await files.slots()).map(({ slotId }) => slotId));
  if ([...names.slots].some((slotId) => !known.has(slotId) && !marks.has(slotId)))
    for (const { bytes } of await bucket.slots(signal)) await learn('slot', bytes, bucket.label);
}
