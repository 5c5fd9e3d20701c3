/** Opens sealed chunks and hashes what they open to, keyed with a nonce: shows an owner that a copy of other sealed bytes is good (P5). */
import { type ClassedChunk, openClassed } from '../../codec/opens-to-its-id.ts';
import { loadSodium } from '../../codec/sodium.ts';
import type { Task } from '../task.ts';

export interface HashPlaintextsTask {
  readonly input: { readonly nonce: Uint8Array; readonly chunks: readonly ClassedChunk[] };
  /** BLAKE2b-256 of each plaintext, undefined where the chunk does not open; positions match. */
  readonly output: readonly (Uint8Array | undefined)[];
}

export const task: Task<HashPlaintextsTask['input'], HashPlaintextsTask['output']> = async (
  { nonce, chunks },
  context,
) => {
  const [opener, sodium] = await Promise.all([context.opener(), loadSodium()]);
  const output = chunks.map((chunk) => {
    const plain = openClassed(opener, chunk);
    return plain === undefined ? undefined : sodium.crypto_generichash(32, plain, nonce);
  });
  return { output };
};
