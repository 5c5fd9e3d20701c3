/** Random streams that one seed replays. */
import { createHash } from 'node:crypto';
import type { RandomBytes } from '../core/clock.ts';

/** SHA-256(seed ‖ counter) blocks, one after the other: the same seed gives the same bytes on every machine. */
export function createSeededRandom(seed: string | number): RandomBytes {
  let block: Uint8Array = new Uint8Array(0);
  let at = 0;
  let counter = 0;
  return (length) => {
    const out = new Uint8Array(length);
    for (let filled = 0; filled < length; ) {
      if (at === block.length) {
        block = createHash('sha256').update(`${seed}:${counter++}`).digest();
        at = 0;
      }
      const take = Math.min(block.length - at, length - filled);
      out.set(block.subarray(at, at + take), filled);
      at += take;
      filled += take;
    }
    return out;
  };
}

/** A number from 0 (included) to 1 (excluded), from four bytes of the stream. */
export function randomFraction(random: RandomBytes): number {
  const four = random(4);
  return new DataView(four.buffer, four.byteOffset, 4).getUint32(0) / 2 ** 32;
}
