/** Whether a snapshot reaches any of a list of chunks (docs/chain.md 5.3). A walk of its whole tree, so the answer is kept for the pair of both. */
import { openTreeReader } from '../browse/tree-reader.ts';
import { reachedChunks } from '../browse/where-is.ts';
import { isListed, type ListedIds } from '../chain/unsatisfied-list.ts';
import type { Opener } from '../codec/open.ts';
import { isEdgeError } from '../core/errors.ts';
import type { RecordHash } from '../core/ids.ts';
import type { SnapshotRow } from '../core/ports/index.ts';
import type { SealedSource } from '../core/ports/sealed-source.ts';

export interface ReachDeps {
  /** Where trees are read, own disk first. */
  readonly sources: readonly SealedSource[];
  readonly opener: Opener;
}

/** Pairs of snapshot and list of which the answer is kept. */
const KEPT_MAX = 256;

/** `listKey` names the list, such as its digest. A tree that cannot be read may reach anything: true. */
export type ReachMeets = (
  snapshot: SnapshotRow,
  list: ListedIds,
  listKey: string,
  signal?: AbortSignal,
) => Promise<boolean>;

export function createReachMeets(deps: ReachDeps): ReachMeets {
  const kept = new Map<string, boolean>();
  return async (snapshot, list, listKey, signal) => {
    if (list.length === 0) return false;
    const key = `${snapshot.id}/${listKey}`;
    const known = kept.get(key);
    if (known !== undefined) return known;
    const { isKnown, meets } = await walk(snapshot, list, deps, signal);
    if (isKnown) {
      if (kept.size >= KEPT_MAX) kept.delete(kept.keys().next().value as RecordHash);
      kept.set(key, meets);
    }
    return meets;
  };
}

async function walk(
  snapshot: SnapshotRow,
  list: ListedIds,
  deps: ReachDeps,
  signal: AbortSignal | undefined,
): Promise<{ readonly isKnown: boolean; readonly meets: boolean }> {
  const reader = openTreeReader({ sources: deps.sources, opener: deps.opener, warn: () => {} });
  try {
    for await (const id of reachedChunks(reader, snapshot.body.entry, signal))
      if (isListed(list, id)) return { isKnown: true, meets: true };
    return { isKnown: true, meets: false };
  } catch (error) {
    signal?.throwIfAborted();
    if (!isEdgeError(error)) throw error;
    return { isKnown: false, meets: true };
  }
}
