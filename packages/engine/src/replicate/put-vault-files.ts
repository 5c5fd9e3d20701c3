/**
 * Descriptor, key slots, removal marks and cards in a bucket. Newer ones that lie there are learned, older ones replaced, never the other way. What should
 * be there is compared with a listing in each job, so that one that is gone is put again.
 */
import { createHash } from 'node:crypto';
import type { KeyValue } from '../core/ports/index.ts';
import { type BucketVault, VAULT_FILE_BYTES_MAX } from '../store/bucket/bucket-vault.ts';
import type { ReplicateDeps } from './replicate-deps.ts';

export type VaultFileKind = 'descriptor' | 'slot' | 'removal' | 'card';

type Bucket = Pick<
  BucketVault,
  | 'label'
  | 'vaultFiles'
  | 'descriptor'
  | 'putDescriptor'
  | 'slots'
  | 'putSlot'
  | 'slotRemovals'
  | 'putSlotRemoval'
  | 'putCard'
>;

type Deps = Pick<ReplicateDeps, 'files' | 'index'> & {
  /** Throws unless the store that answers now is the one that was listed. */
  readonly requireSame: () => Promise<void>;
};

export interface VaultFile {
  readonly kind: VaultFileKind;
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Name of the file that must not lie beside this one. Putting this one removes it. */
  readonly removes?: string;
  put(): Promise<boolean>;
}

export async function putVaultFiles(bucket: Bucket, deps: Deps, signal?: AbortSignal): Promise<void> {
  const there = await bucket.vaultFiles(signal);
  await learnVaultFiles(bucket, there, deps, signal);
  const key = filesKey(bucket.label);
  const { kv } = deps.index;
  const digests = putNames(bucket.label, kv);
  const now: Record<string, string> = {};
  for (const file of await wantedFiles(bucket, deps, signal)) {
    const digest = createHash('sha256').update(file.bytes).digest('hex').slice(0, 16);
    // The listing tells lengths only; the content is the one that was put or compared last.
    const isThere = there.get(file.name) === file.bytes.length && digests.get(file.name) === digest;
    const isToRemove = file.removes !== undefined && there.has(file.removes);
    if (!isThere || isToRemove) await file.put();
    now[file.name] = digest;
  }
  await deps.requireSame();
  const text = JSON.stringify(now);
  if (kv.get(key) !== text) kv.set(key, text);
}

function filesKey(label: string): string {
  return `bucket.files.${label}`;
}

/** What lay there with its content when a pass compared last: digests by name. */
export function putNames(label: string, kv: Pick<KeyValue, 'get'>): ReadonlyMap<string, string> {
  return new Map(Object.entries(JSON.parse(kv.get(filesKey(label)) ?? '{}') as Record<string, string>));
}

/** In the place of a digest: it lay there, and a later look found it gone or changed. The next pass puts it. */
export const GONE = 'gone';

export function noteGone(
  label: string,
  files: readonly { readonly name: string }[],
  kv: Pick<KeyValue, 'get' | 'set'>,
): void {
  const names = new Map([...putNames(label, kv), ...files.map(({ name }) => [name, GONE] as const)]);
  kv.set(filesKey(label), JSON.stringify(Object.fromEntries(names)));
}

/** In the order of putting: marks before slots, and the descriptor last. Whoever finds a descriptor finds the rest. */
export async function wantedFiles(
  bucket: Bucket,
  { files }: Pick<Deps, 'files'>,
  signal: AbortSignal | undefined,
): Promise<readonly VaultFile[]> {
  const judge = (kind: VaultFileKind) => (stored: Uint8Array) =>
    files.mayReplace?.(kind, stored, bucket.label) ?? Promise.resolve(true);
  const descriptor = await files.descriptor();
  return [
    ...((await files.removals?.()) ?? []).map(({ slotId, bytes }) => ({
      kind: 'removal' as const,
      name: `slot-removal ${slotId}`,
      bytes,
      removes: `slot ${slotId}`,
      put: () => bucket.putSlotRemoval(slotId, bytes, signal, judge('removal')),
    })),
    ...(await files.slots()).map(({ slotId, bytes }) => ({
      kind: 'slot' as const,
      name: `slot ${slotId}`,
      bytes,
      put: () => bucket.putSlot(slotId, bytes, signal, judge('slot')),
    })),
    ...(await files.cards()).map((card) => ({
      kind: 'card' as const,
      name: `card ${card.agent}-${card.incarnation}`,
      bytes: card.bytes,
      put: () => bucket.putCard(card, card.bytes, signal, judge('card')),
    })),
    {
      kind: 'descriptor' as const,
      name: 'descriptor',
      bytes: descriptor,
      put: () => bucket.putDescriptor(descriptor, signal, judge('descriptor')),
    },
  ];
}

/** In each job: a higher epoch, and slots and marks that are not known here. */
async function learnVaultFiles(
  bucket: Bucket,
  there: ReadonlyMap<string, number>,
  { files }: Pick<Deps, 'files'>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const learn = files.mayReplace;
  if (learn === undefined) return;
  const descriptorBytes = there.get('descriptor');
  // Something too large to be one is replaced unread.
  if (descriptorBytes !== undefined && descriptorBytes <= VAULT_FILE_BYTES_MAX) {
    const descriptor = await bucket.descriptor(signal);
    if (descriptor !== undefined) await learn('descriptor', descriptor, bucket.label);
  }
  const marks = new Set((await files.removals?.())?.map(({ slotId }) => slotId));
  if (hasOthers(there, 'slot-removal ', (slotId) => marks.has(slotId)))
    for (const { bytes } of await bucket.slotRemovals(signal)) await learn('removal', bytes, bucket.label);
  const known = new Set((await files.slots()).map(({ slotId }) => slotId));
  if (hasOthers(there, 'slot ', (slotId) => known.has(slotId) || marks.has(slotId)))
    for (const { bytes } of await bucket.slots(signal)) await learn('slot', bytes, bucket.label);
}

function hasOthers(there: ReadonlyMap<string, number>, prefix: string, isKnown: (slotId: string) => boolean): boolean {
  return [...there.keys()].some((name) => name.startsWith(prefix) && !isKnown(name.slice(prefix.length)));
}
