/** Which bits of the rolling hash have to be zero for a cut. */
import type { ChunkerParams } from './params.ts';

/**
 * How far the two masks are from the average's own number of bits: normalised chunking (Xia et al. 2016, level 2) makes lengths
 * gather around the average.
 */
const NORMALISATION_BITS = 2;

export interface CutMasks {
  /** Up to the average length: hard to meet. */
  readonly hard: bigint;
  /** Beyond it: easy to meet. */
  readonly easy: bigint;
}

/** The highest bits below bit 63, as they depend on the most bytes; bit 63 stays free so that a hash can be judged shifted by one. */
export function cutMasks(params: ChunkerParams): CutMasks {
  const bits = Math.log2(params.avg);
  return { hard: topBits(bits + NORMALISATION_BITS), easy: topBits(bits - NORMALISATION_BITS) };
}

function topBits(count: number): bigint {
  return ((1n << BigInt(count)) - 1n) << BigInt(63 - count);
}
