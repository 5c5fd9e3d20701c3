/** Chunk ids: HMAC-SHA-256(id key, SHA-256(kind ‖ plaintext)). See docs/formats/sealed-chunk.md. */
import { createHash, hash } from 'node:crypto';
import { bytesOfLatin1 } from '../core/bytes.ts';
import type { ChunkId, ChunkKind } from '../core/ids.ts';
import type { VaultKeys } from '../keys/vault-keys.ts';

/** The id of a plaintext, 32 bytes in memory of its own. */
export type Identify = (kind: ChunkKind, plain: Uint8Array) => ChunkId;

/** Below this, copying the plaintext behind its kind byte costs less than an incremental hash object does. */
const ONE_SHOT_BYTES_MAX = 4096;
const BLOCK_BYTES = 64;
const DIGEST_BYTES = 32;

/**
 * Prepares the two padded HMAC blocks once. A `createHmac` per chunk costs ten times as much as the two one-shot hashes
 * that stand for it here, and small files pay that for each chunk.
 */
export function createIdentifier(idKey: Uint8Array): Identify {
  const prefixed = Buffer.alloc(1 + ONE_SHOT_BYTES_MAX);
  const kindByte = new Uint8Array(1);
  const inner = Buffer.alloc(BLOCK_BYTES + DIGEST_BYTES, 0x36);
  const outer = Buffer.alloc(BLOCK_BYTES + DIGEST_BYTES, 0x5c);
  for (let at = 0; at < idKey.length; at++) {
    inner[at] = inner[at]! ^ idKey[at]!;
    outer[at] = outer[at]! ^ idKey[at]!;
  }

  return (kind, plain) => {
    // Digests pass as strings: each as memory of its own costs more than hashing so few bytes.
    if (plain.length <= ONE_SHOT_BYTES_MAX) {
      prefixed[0] = kind;
      prefixed.set(plain, 1);
      inner.write(hash('sha256', prefixed.subarray(0, 1 + plain.length), 'binary'), BLOCK_BYTES, 'latin1');
    } else {
      kindByte[0] = kind;
      inner.write(createHash('sha256').update(kindByte).update(plain).digest('binary'), BLOCK_BYTES, 'latin1');
    }
    outer.write(hash('sha256', inner, 'binary'), BLOCK_BYTES, 'latin1');
    return bytesOfLatin1(hash('sha256', outer, 'binary'));
  };
}

const identifiers = new WeakMap<VaultKeys, Identify>();

/** The id of one plaintext under a vault's keys; the prepared blocks are kept for as long as `keys` lives. */
export function identify(keys: VaultKeys, kind: ChunkKind, plain: Uint8Array): ChunkId {
  let identifier = identifiers.get(keys);
  if (identifier === undefined) {
    identifier = createIdentifier(keys.idKey);
    identifiers.set(keys, identifier);
  }
  return identifier(kind, plain);
}
