import type { Opener } from '../codec/open.ts';
import { type ClassedChunk, openClassed } from '../codec/opens-to-its-id.ts';
import type { Sodium } from '../codec/sodium.ts';

/** Opens each chunk and answers BLAKE2b-256 of its plaintext, keyed with the nonce; undefined where it does not open. Positions match. */
export type HashPlaintexts = (
  nonce: Uint8Array,
  chunks: readonly ClassedChunk[],
) => Promise<(Uint8Array | undefined)[]>;

/** Opens in the calling thread; a service uses `hashPlaintextsInWorkers`. */
export function hashPlaintextsWith(sodium: Sodium, opener: Opener): HashPlaintexts {
  return async (nonce, chunks) =>
    chunks.map((chunk) => {
      const plain = openClassed(opener, chunk);
      return plain === undefined ? undefined : sodium.crypto_generichash(32, plain, nonce);
    });
}
