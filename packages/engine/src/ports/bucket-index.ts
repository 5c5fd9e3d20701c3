/**
 * What this agent noted of a bucket that it writes to (docs/chain.md 6.1): forms of the own chain that the bucket lacks, and segments of the chain that
 * were verified there. Both are compared with a listing in each job, so they never acknowledge anything by themselves.
 */
import type { TargetId } from '../core/ports/index.ts';

/** Forms of one add entry of the own chain, by their positions in its body, ascending. */
export interface LackingForms {
  readonly shard: number;
  readonly seq: number;
  readonly positions: readonly number[];
}

/** One segment object: entries of one incarnation, named by its content. */
export interface SegmentName {
  readonly incarnation: number;
  readonly first: number;
  readonly last: number;
  /** The first 16 hex digits of the SHA-256 of the object. */
  readonly sha256: string;
}

export interface KnownSegment extends SegmentName {
  readonly bytes: number;
}

export interface BucketIndex {
  /** Adds of the own chain up to this seq were compared with what the bucket has; 0 for a target that is new. */
  comparedUntil(target: TargetId): number;
  /** Notes forms that the bucket lacks. Adds up to `untilSeq` count as compared. One transaction. */
  noteLacking(target: TargetId, lacking: readonly LackingForms[], untilSeq: number): void;
  /** A page of what the bucket lacks, by seq, from behind `afterSeq` on. */
  lacking(target: TargetId, afterSeq: number, entriesMax: number): LackingForms[];
  /** The bucket has these, or they are not held any more. One transaction. */
  clearLacking(target: TargetId, forms: readonly LackingForms[]): void;
  /** The lowest seq of an add of the shard with a form that the bucket lacks. */
  firstLacking(target: TargetId, shard: number): number | undefined;
  lackingCount(target: TargetId): number;
  /** Segments that were verified to be there with entries of the own trail. */
  segments(target: TargetId): KnownSegment[];
  addSegments(target: TargetId, segments: readonly KnownSegment[]): void;
  removeSegments(target: TargetId, segments: readonly SegmentName[]): void;
  /** Everything that was noted of the target goes: another bucket answers under its name. */
  forget(target: TargetId): void;
}
