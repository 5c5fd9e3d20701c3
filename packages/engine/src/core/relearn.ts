/**
 * What an index that was built from this disk alone cannot know: where peers and buckets have copies. The facts lie in the index's key-value table:
 * that it is being learned again, who was asked since, and, for ever, that receipts from before are not all there.
 */
import type { KeyValue } from './ports/index.ts';

/** Set (to the time) when an index was built from the disk alone; gone when all peers and buckets were asked. */
export const RELEARN = 'relearn';
/** Set when learning ended. What a peer holds is known from then on by its newest record, not chunk by chunk. */
const RELEARNED = 'relearn.ended';

const askedKey = (source: string): string => `relearned.${source}`;

export function relearningSince(kv: KeyValue): string | undefined {
  return kv.get(RELEARN);
}

/** Whether this source was asked since the index was built. */
export function isRelearned(kv: KeyValue, source: string): boolean {
  const since = kv.get(RELEARN);
  return since === undefined || kv.get(askedKey(source)) === since;
}

/** The source (a store's name, a peer's id) said what it has. */
export function noteRelearned(kv: KeyValue, source: string): void {
  const since = kv.get(RELEARN);
  if (since !== undefined && kv.get(askedKey(source)) !== since) kv.set(askedKey(source), since);
}

/** Ends the learning when each of the sources was asked. */
export function endRelearning(kv: KeyValue, sources: readonly string[]): void {
  const since = kv.get(RELEARN);
  if (since === undefined || !sources.every((source) => isRelearned(kv, source))) return;
  // First the fact that stays: killed in between, the end is only noted again.
  kv.set(RELEARNED, since);
  kv.delete(RELEARN);
}

/** True on an index that knows every receipt that was ever given to this agent: it was never built anew. */
export function knowsAllReceipts(kv: KeyValue): boolean {
  return kv.get(RELEARN) === undefined && kv.get(RELEARNED) === undefined;
}
