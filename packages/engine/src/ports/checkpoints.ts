/** Hold checkpoints as flows see them (docs/chain.md 1.7, 2.12, 8). */
import type { HeldForm } from '../chain/forms.ts';
import type { AgentId, ChunkId } from '../core/ids.ts';

export interface CheckpointPolicy {
  /**
   * Bytes of bodies since the last checkpoint from which on another one is made, where its parts are not larger than
   * that.
   */
  readonly bytesMin?: number | undefined;
  /** Shards that get one at any rate. */
  readonly shards?: readonly number[] | undefined;
}

export interface MadeCheckpoint {
  readonly shard: number;
  readonly asOfSeq: number;
  /** Of its entry; undefined when it was not written. */
  readonly seq: number | undefined;
  /** Where the files and the index differ, so that none was written. */
  readonly difference: string | undefined;
}

/** What a store says of the checkpoints of a shard of another owner. */
export interface WantedParts {
  /** The entry of the checkpoint whose parts it takes; 0 for none. */
  readonly seq: number;
  /** Parts that it lacks, ascending. */
  readonly lacking: readonly number[];
  /** The newest checkpoint that it looked at, and what it found. */
  readonly judged: { readonly seq: number; readonly verdict: 'proved' | 'false' | 'taken' } | undefined;
}

/** Parts of the checkpoints in the chains here. */
export interface ChainParts {
  /** The newest checkpoint of a shard that can be read here. */
  newest(agent: AgentId, shard: number): { readonly seq: number; readonly asOfSeq: number } | undefined;
  wanted(agent: AgentId, shard: number): Promise<WantedParts>;
  /** Bytes of a part, as the signed checkpoint has them. E_NOT_FOUND, E_LIMIT. */
  bytesOf(agent: AgentId, shard: number, seq: number, byte: number): number;
  /**
   * Takes a part that is wanted; it is durable when it resolves. E_INTEGRITY for other bytes than the checkpoint names,
   * E_FORMAT, E_NO_SPACE.
   */
  take(agent: AgentId, shard: number, seq: number, byte: number, part: Uint8Array): Promise<void>;
  /** The shard goes on from the parts, all of which are here. E_FAILED while one is lacking. */
  join(agent: AgentId, shard: number, seq: number): Promise<void>;
  /** A part of a checkpoint; undefined where it is not here, or damaged. */
  read(agent: AgentId, shard: number, seq: number, byte: number): Promise<Uint8Array | undefined>;
  /**
   * The parts that a shard was joined by; undefined where its state comes from bodies alone. E_INTEGRITY while they are
   * read.
   */
  base(
    agent: AgentId,
    shard: number,
  ): { readonly asOfSeq: number; forms(): AsyncIterable<readonly HeldForm[]> } | undefined;
  /** Ids that a checkpoint left in dispute until another one was proved: their frames are released now (8.2). */
  endedDisputes(agent: AgentId, limit: number): readonly ChunkId[];
  forgetDisputes(agent: AgentId, ids: readonly ChunkId[]): void;
}
