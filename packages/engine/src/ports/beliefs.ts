/**
 * What this agent noted of each target that it replicates to (docs/chain.md 4.2, 5.3): the newest answer to a question, and whether work is owed. A belief
 * names what was asked and when. Nothing is acknowledged from one that was asked before.
 */
import type { Position } from '../chain/position.ts';
import type { HexId } from '../core/ids.ts';
import type { TargetId } from '../core/ports/index.ts';

/** The newest answer of a target. A later one replaces it as a whole. */
export type Belief = PeerBelief | BucketBelief;

interface Asked {
  /** The end of the own chain when the question was put, 0 for none: the answer covers nothing behind it. */
  readonly askedSeq: number;
  /** Wall time of the question, for people. */
  readonly askedNs: bigint;
}

export interface PeerBelief extends Asked {
  readonly kind: 'peer';
  /** The signed statement, verified when it came. */
  readonly statement: Uint8Array;
  /** One list for each stated shard, in the statement's order; empty bytes where none came. */
  readonly lists: readonly Uint8Array[];
}

export interface BucketBelief extends Asked {
  readonly kind: 'bucket';
  /** The newest own entry that lies there with everything it reaches; undefined for none. */
  readonly position: Position | undefined;
  /** 32 hex digits of the `store.id` there. */
  readonly storeId: HexId;
  /** SHA-256 of endpoint and bucket: two names of one bucket have the same. */
  readonly location: HexId;
}

export interface BeliefIndex {
  get(target: TargetId): Belief | undefined;
  set(target: TargetId, belief: Belief): void;
  delete(target: TargetId): void;
}

/** One row a target, however much it lacks. */
export interface OwedRow {
  readonly target: TargetId;
  /** The end of the own chain that the target is to reach. */
  readonly seq: number;
  readonly sinceNs: bigint;
  readonly attempts: number;
  readonly nextTryNs: bigint;
  readonly lastError: string | undefined;
}

export interface OwedIndex {
  row(target: TargetId): OwedRow | undefined;
  rows(): readonly OwedRow[];
  /** Raises what each target is to reach, in one transaction. A row that is there keeps its age and its time of the next try. */
  owe(targets: readonly TargetId[], seq: number, nowNs: bigint): void;
  failed(target: TargetId, error: string, nextTryNs: bigint): void;
  /** The target has everything up to `seq`: its row goes, unless more is owed since. */
  passed(target: TargetId, seq: number): void;
}
