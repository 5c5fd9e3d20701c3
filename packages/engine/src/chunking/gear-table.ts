/** The 256 random numbers that the rolling hash adds up: secret, so that chunk lengths do not tell which known file this is. */
import { createHmac } from 'node:crypto';

const NUMBERS_PER_BLOCK = 4;

/**
 * Number `4 b + i` is the i-th little-endian u64 of HMAC-SHA-256(secret, "edgestore fastcdc-1 gear" ‖ 0x00 ‖ u8 b), b = 0 to 63.
 *
 * @param secret the vault's chunker secret, 32 bytes
 */
export function createGearTable(secret: Uint8Array): BigUint64Array {
  const gear = new BigUint64Array(256);
  for (let block = 0; block < gear.length / NUMBERS_PER_BLOCK; block++) {
    const digest = createHmac('sha256', secret)
      .update('edgestore fastcdc-1 gear\0', 'latin1')
      .update(Uint8Array.of(block))
      .digest();
    for (let index = 0; index < NUMBERS_PER_BLOCK; index++) {
      gear[block * NUMBERS_PER_BLOCK + index] = digest.readBigUInt64LE(index * 8);
    }
  }
  return gear;
}
