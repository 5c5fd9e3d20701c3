/** Frames of the own disk that lost their last hold, with the time of their grace (docs/chain.md 7). The rows are begun again after a rebuild: the grace is longer then, never shorter. */
import type { AgentId, ChunkId } from '../core/ids.ts';

/** A clock of an owner's releases: it stands still while the brake is on. */
export interface GraceClock {
  /** Running time of this store. */
  readonly runningNs: bigint;
  /** Completed collections. */
  readonly passes: number;
}

export interface ReleasedFrame {
  readonly id: ChunkId;
  readonly owner: AgentId;
  readonly sealedBytes: number;
}

export interface ReleasedIndex {
  /** A frame that is noted already keeps its clock. */
  note(frames: readonly ReleasedFrame[], at: GraceClock): void;
  /** The frames are held again, or gone. */
  forget(ids: readonly ChunkId[]): void;
  /** Frames of an owner that were noted at or before a clock, at most `limit`. */
  due(owner: AgentId, until: GraceClock, limit: number): readonly ReleasedFrame[];
  totals(owner: AgentId): { readonly frames: number; readonly bytes: number };
  owners(): readonly AgentId[];
}
