/**
 * Log files on disk and log segments in a bucket are the same: records of one agent, each behind its length. Byte by byte in
 * `docs/formats/log-segment.md`.
 */
import { concatBytes } from '../core/bytes.ts';
import { RECORD_BYTES_MAX } from '../core/limits.ts';
import { readEnvelope } from './record.ts';
import { RECORD_MAGIC } from './record-layout.ts';
import { frameItem, splitItems } from './split-items.ts';

export interface DecodedSegment {
  /** Whole records in order, as views; their framing is checked, their signatures are not. */
  readonly records: readonly Uint8Array[];
  /** Ranges that hold no whole record although whole ones follow: damage, not a crash. */
  readonly damaged: readonly { readonly offset: number; readonly length: number }[];
  /** Where an unfinished last record begins. Only the log's own writer may cut it off, after comparing the rest with the head it remembers. */
  readonly tornAt?: number;
}

/** A record with its length before it: what is appended to a log file. */
export function encodeSegmentItem(record: Uint8Array): Uint8Array {
  return frameItem(record);
}

/** The segment of these records. */
export function encodeSegment(records: readonly Uint8Array[]): Uint8Array {
  return concatBytes(records.map(frameItem));
}

/** Takes a segment apart; never throws E_FORMAT, as any part may be damaged. E_NEWER_FORMAT for a record of a later version. */
export function decodeSegment(bytes: Uint8Array): DecodedSegment {
  const { items, ...rest } = splitItems(bytes, {
    magic: RECORD_MAGIC,
    bytesMax: RECORD_BYTES_MAX,
    check: readEnvelope,
  });
  return { records: items, ...rest };
}
