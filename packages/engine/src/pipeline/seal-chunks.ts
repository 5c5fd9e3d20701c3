/** Seals plaintext chunks into one buffer that moves to the main thread as a whole. */

import type { Sealer } from '../codec/seal.ts';
import { sealedBytesMax } from '../codec/sealed-chunk.ts';
import { MIB } from '../core/limits.ts';
import type { PlainChunk } from './chunk-batch.ts';

/** Sealed chunks in order. The n-th lies at `offsets[n]` and is `lengths[n]` bytes long; `which[n]` is its number among those given. */
export interface SealedChunks {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly which: Uint32Array<ArrayBuffer>;
  readonly offsets: Uint32Array<ArrayBuffer>;
  readonly lengths: Uint32Array<ArrayBuffer>;
  /** SHA-256 of each sealed chunk, one after the other. */
  readonly sha256: Uint8Array<ArrayBuffer>;
}

let scratch = new Uint8Array(MIB);

/** Seals the chunks for which `needed` is 1. Identical chunks are the caller's to leave out. */
export function sealChunks(
  sealer: Sealer,
  chunks: readonly PlainChunk[],
  needed: Uint8Array,
  level: number,
): SealedChunks {
  const numbers: number[] = [];
  for (let i = 0; i < chunks.length; i++) if (needed[i] === 1) numbers.push(i);
  const offsets = new Uint32Array(numbers.length);
  const lengths = new Uint32Array(numbers.length);
  const sha256 = new Uint8Array(numbers.length * 32);
  let filled = 0;
  numbers.forEach((number, n) => {
    const { kind, id, plain } = chunks[number]!;
    filled = reserve(filled, sealedBytesMax(plain.length));
    const sealed = sealer.sealInto(scratch, filled, kind, id, plain, level, { compress: true });
    offsets[n] = filled;
    lengths[n] = sealed.length;
    sha256.set(sealed.sha256, n * 32);
    filled += sealed.length;
  });
  return { bytes: scratch.slice(0, filled), which: Uint32Array.from(numbers), offsets, lengths, sha256 };
}

/** The buffers of sealed chunks, for transfer. */
export function buffersOf(sealed: SealedChunks): ArrayBuffer[] {
  return [sealed.bytes.buffer, sealed.which.buffer, sealed.offsets.buffer, sealed.lengths.buffer, sealed.sha256.buffer];
}

function reserve(filled: number, length: number): number {
  if (filled + length > scratch.length) {
    const grown = new Uint8Array(Math.max(scratch.length * 2, filled + length));
    grown.set(scratch.subarray(0, filled));
    scratch = grown;
  }
  return filled;
}
