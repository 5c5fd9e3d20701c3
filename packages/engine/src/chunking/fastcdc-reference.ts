/**
 * FastCDC as docs/formats/chunking.md states it, one byte a step and with nothing clever: what the kernel is tested against.
 * Source: Xia et al., "The Design of Fast Content-Defined Chunking for Data Deduplication Based Storage Systems" (2020), with a keyed
 * 64-bit table and a hash that is warmed up before the first possible cut.
 */
import { cutMasks } from './masks.ts';
import { type ChunkerParams, WINDOW_BYTES } from './params.ts';

/** The end of the chunk that begins at `start`, when `bytes` goes on to the end of the stream. */
export function cutByReference(gear: BigUint64Array, params: ChunkerParams, bytes: Uint8Array, start: number): number {
  const { min, avg, max } = params;
  const masks = cutMasks(params);
  if (bytes.length - start <= min) return bytes.length;
  let hash = 0n;
  for (let at = start + min - WINDOW_BYTES; at < bytes.length; at++) {
    hash = BigInt.asUintN(64, (hash << 1n) + gear[bytes[at]!]!);
    const length = at + 1 - start;
    if (length <= min) continue;
    const mask = length <= avg ? masks.hard : masks.easy;
    if ((hash & mask) === 0n || length === max) return at + 1;
  }
  return bytes.length;
}

/** The ends of all chunks of a whole stream. */
export function cutAllByReference(gear: BigUint64Array, params: ChunkerParams, bytes: Uint8Array): number[] {
  const ends: number[] = [];
  for (let start = 0; start < bytes.length; start = ends[ends.length - 1]!) {
    ends.push(cutByReference(gear, params, bytes, start));
  }
  return ends;
}
