/** Seals plaintext chunks into one buffer that moves to the main thread as a whole. */

import type { Sealer } from '../codec/seal.ts';
import { sealedBytesMax } from '../codec/sealed-chunk.ts';
import { MIB } from '../core/limits.ts';
import type { PlainChunk } from './chunk-batch.ts';

/** Sealed chunks in order. The n-th lies at `offsets[n]` and is `lengths[n]` bytes long; `which[n]` is its number among those given. */
export interface SealedChunks {
  readonly bytes: Uint8Array;
  readonly which: Uint32Array<ArrayBuffer>;
  readonly offsets: Uint32Array<ArrayBuffer>;
  readonly lengths: Uint32Array<ArrayBuffer>;
  /** SHA-256 of each sealed chunk, one after the other. */
  readonly sha256: Uint8Array<ArrayBuffer>;
}

/**
 * Memory to seal into is shared between the threads and used again: handed over, or made anew for each batch, it would count as new memory with every
 * thread that it comes to, and have each of them collect garbage all the time.
 */
export const SEAL_BUFFER_BYTES = 2.5 * MIB;

/** Seals the chunks for which `needed` is 1, into the buffer given when it is large enough. Identical chunks are the caller's to leave out. */
export function sealChunks(
  sealer: Sealer,
  chunks: readonly PlainChunk[],
  needed: Uint8Array,
  level: number,
  into?: SharedArrayBuffer,
): SealedChunks {
  const numbers: number[] = [];
  let bound = 0;
  for (let i = 0; i < chunks.length; i++) {
    if (needed[i] !== 1) continue;
    numbers.push(i);
    bound += sealedBytesMax(chunks[i]!.plain.length);
  }
  const target = new Uint8Array(into !== undefined && into.byteLength >= bound ? into : new ArrayBuffer(bound));
  const offsets = new Uint32Array(numbers.length);
  const lengths = new Uint32Array(numbers.length);
  const sha256 = new Uint8Array(numbers.length * 32);
  let filled = 0;
  numbers.forEach((number, n) => {
    const { kind, id, plain } = chunks[number]!;
    const sealed = sealer.sealInto(target, filled, kind, id, plain, level, { compress: true });
    offsets[n] = filled;
    lengths[n] = sealed.length;
    sha256.set(sealed.sha256, n * 32);
    filled += sealed.length;
  });
  return { bytes: target.subarray(0, filled), which: Uint32Array.from(numbers), offsets, lengths, sha256 };
}

/** The buffers of sealed chunks, for transfer; what is shared stays where it is. */
export function buffersOf(sealed: SealedChunks): ArrayBuffer[] {
  const own = sealed.bytes.buffer instanceof ArrayBuffer ? [sealed.bytes.buffer] : [];
  return [...own, sealed.which.buffer, sealed.offsets.buffer, sealed.lengths.buffer, sealed.sha256.buffer];
}
