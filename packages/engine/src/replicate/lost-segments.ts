/**
 * What is noted where segments that were verified in a bucket are not there: it counts for nothing until they were put
 * again.
 */
import type { KeyValue, TargetId } from '../core/ports/index.ts';
import type { BeliefIndex } from '../ports/beliefs.ts';
import type { KnownSegment, SegmentName } from '../ports/bucket-index.ts';
import { nameOf } from './judge-segments.ts';

/**
 * Up to which entry the own chain was verified in a bucket, noted where segments were found gone: rows and the newest
 * answer tell it no more then.
 */
export function verifiedKey(target: TargetId): string {
  return `bucket.verified.${target}`;
}

/** Answers how many of the known segments are not there. */
export function noteLostSegments(
  target: TargetId,
  known: readonly KnownSegment[],
  there: readonly SegmentName[],
  index: { readonly kv: KeyValue; readonly beliefs: BeliefIndex },
): number {
  const names = new Set(there.map(nameOf));
  const lost = known.filter((segment) => !names.has(nameOf(segment)));
  if (lost.length === 0) return 0;
  index.kv.set(verifiedKey(target), String(known.reduce((max, { last }) => Math.max(max, last), 0)));
  index.beliefs.delete(target);
  return lost.length;
}
