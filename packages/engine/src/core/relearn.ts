/**
 * What an index that was built from this disk alone cannot know: where peers and buckets have copies. The facts lie in the index's key-value table:
 * that it is being learned again, and who was asked since.
 */
import type { KeyValue } from './ports/index.ts';

/** Set (to the time) when an index was built from the disk alone; gone when all peers and buckets were asked. */
export const RELEARN = 'relearn';

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
  kv.delete(RELEARN);
}
