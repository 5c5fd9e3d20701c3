/** A cheap guess whether compressing is a waste: media, archives and encrypted files are stored as they are. */
import type { Zstd } from './zstd.ts';

/** Smaller plaintexts are simply compressed: the trial would cost as much. */
const LENGTH_MIN = 16 * 1024;
const SAMPLES = 4;
const SAMPLE_BYTES = 2048;
/** A sample of random bytes measures 7.97 bits a byte at this size; text, code and databases lie below 6.5. */
const ENTROPY_BITS_MIN = 7.3;
/** The trial must save one byte in this many for compression to be worth it. */
const SAVING_FRACTION = 32;

/**
 * True when samples from the whole length have nearly flat byte frequencies *and* a quick trial on them saves under 3 %. Two stages
 * because flat frequencies alone would condemn compressible binary data (repeated random blocks, packed numbers), and a trial alone
 * would tax every text.
 */
export function looksIncompressible(plain: Uint8Array, zstd: Zstd): boolean {
  if (plain.length < LENGTH_MIN) return false;
  const sample = takeSample(plain);
  if (entropyBits(sample) < ENTROPY_BITS_MIN) return false;
  return zstd.compress(sample, 1).length > sample.length - sample.length / SAVING_FRACTION;
}

function takeSample(plain: Uint8Array): Uint8Array {
  const sample = new Uint8Array(SAMPLES * SAMPLE_BYTES);
  const stride = Math.floor((plain.length - SAMPLE_BYTES) / (SAMPLES - 1));
  for (let index = 0; index < SAMPLES; index++) {
    sample.set(plain.subarray(index * stride, index * stride + SAMPLE_BYTES), index * SAMPLE_BYTES);
  }
  return sample;
}

function entropyBits(sample: Uint8Array): number {
  const counts = new Uint32Array(256);
  for (let at = 0; at < sample.length; at++) counts[sample[at]!]!++;
  let bits = 0;
  for (const count of counts) if (count > 0) bits -= count * Math.log2(count / sample.length);
  return bits / sample.length;
}
