/**
 * Where else chunks of the own chain lie, computed from the newest statements (docs/chain.md 5.5). No row a chunk. Good for plans and for people; nothing is
 * acknowledged or deleted by it.
 */
import type { ChunkId } from '../core/ids.ts';
import type { TargetId } from '../core/ports/index.ts';

export interface Placed {
  /** 1 where the target is believed to have the chunk. */
  placed(target: TargetId, ids: readonly ChunkId[]): Uint8Array;
  /** For each chunk the targets that are believed to have it, with the wall time at which each was asked. */
  targetsOf(ids: readonly ChunkId[]): readonly (readonly PlacedAt[])[];
}

export interface PlacedAt {
  readonly target: TargetId;
  readonly askedNs: bigint;
}
