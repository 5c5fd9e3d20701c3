/** What a listing showed to be gone from a bucket, until a job put all of it again: what `status` tells. */
import type { KeyValue, PackRow, StoreName } from '../core/ports/index.ts';

export interface BucketLoss {
  readonly sinceNs: bigint;
  readonly packs: number;
  readonly chunks: number;
}

const keyOf = (store: StoreName): string => `bucket.loss.${store}`;

/** Adds to what was noted before; the time of the first loss stays. */
export function noteBucketLoss(kv: KeyValue, store: StoreName, gone: readonly PackRow[], nowNs: bigint): void {
  const before = bucketLossOf(kv, store);
  const packs = (before?.packs ?? 0) + gone.length;
  const chunks = gone.reduce((sum, { frames }) => sum + frames, before?.chunks ?? 0);
  kv.set(keyOf(store), `${before?.sinceNs ?? nowNs} ${packs} ${chunks}`);
}

export function bucketLossOf(kv: KeyValue, store: StoreName): BucketLoss | undefined {
  const found = /^(\d+) (\d+) (\d+)$/.exec(kv.get(keyOf(store)) ?? '');
  return found === null ? undefined : { sinceNs: BigInt(found[1]!), packs: Number(found[2]), chunks: Number(found[3]) };
}

export function clearBucketLoss(kv: KeyValue, store: StoreName): void {
  if (kv.get(keyOf(store)) !== undefined) kv.delete(keyOf(store));
}
