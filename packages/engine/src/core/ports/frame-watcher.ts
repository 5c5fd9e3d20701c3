/** Hears which chunks gained or lost a good copy in a store of this agent, within the transaction that changes it. */
import type { ChunkId } from '../ids.ts';
import type { FrameRow, StoreName } from './index.ts';
import type { MissReason } from './sealed-source.ts';

/** Why a copy does not count any more. `dropped`: removed on purpose (tiering, compaction). */
export type FrameLoss = MissReason | 'dropped';

/** The part of a frame that says whether it satisfies a hold. */
export type GainedFrame = Pick<FrameRow, 'id' | 'sealedSha256' | 'identified'>;

/**
 * Called after the rows were changed and before the transaction ends: a query of the index sees the new state, an error that is thrown undoes all of
 * it. Calls may name a chunk more than once.
 */
export interface FrameWatcher {
  /**
   * Good copies that the store has now: added, found good again after a mark, or opened and identified. The iterable is
   * only valid during the call, and may be gone through more than once.
   */
  gained(frames: Iterable<GainedFrame>, store: StoreName): void;
  /**
   * Chunks of which a good copy went, where the store has no good copy of the same sealed bytes any more. Copies that were sealed at another time
   * may remain.
   */
  lost(ids: readonly ChunkId[], store: StoreName, why: FrameLoss): void;
}
