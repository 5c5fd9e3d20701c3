/** Which tier one chunk is in, from its age and its policy. */
import type { ChunkId } from '../core/ids.ts';
import type { ChunkIndex, ChunkLocation } from '../core/ports/index.ts';
import { ageOf, type Tier, tierOf } from '../policy/tier.ts';
import type { ReachedChunk } from './age-table.ts';

export interface ChunkTier {
  readonly tier: Tier;
  readonly ageNs: bigint;
}

/**
 * Hot for a chunk without a policy. The age counts from the newest of: a file that has it was modified, it was first stored, it was read. A chunk that
 * was moved counts as stored when its oldest copy was.
 */
export function chunkTier(
  id: ChunkId | undefined,
  chunk: ReachedChunk,
  copies: readonly ChunkLocation[],
  deps: { readonly nowNs: bigint; readonly lastRead: ChunkIndex['lastRead'] },
): ChunkTier {
  let firstStoredNs: bigint | undefined;
  for (const { createdNs } of copies)
    if (firstStoredNs === undefined || createdNs < firstStoredNs) firstStoredNs = createdNs;
  const ageNs = ageOf({
    nowNs: deps.nowNs,
    mtimeNs: chunk.mtimeNs,
    firstStoredNs,
    lastReadNs: id === undefined ? undefined : deps.lastRead(id),
  });
  return { tier: chunk.policy === undefined ? 'hot' : tierOf(ageNs, chunk.policy), ageNs };
}
