/** Opens sealed chunks. Nothing inside is looked at before its tag verifies, and the bytes must be the ones that the id names. */
import { asBuffer, bytesEqual } from '../core/bytes.ts';
import { EdgeError, newerFormatError } from '../core/errors.ts';
import { type ChunkId, type ChunkKind, toHex } from '../core/ids.ts';
import { CHUNK_PLAIN_BYTES_MAX, CHUNK_SEALED_BYTES_MAX } from '../core/limits.ts';
import type { KeyGeneration, VaultKeys } from '../keys/vault-keys.ts';
import { createIdentifier } from './identify.ts';
import { padme } from './padme.ts';
import {
  type AssociatedData,
  Codec,
  createAssociatedData,
  SEALED_HEADER_BYTES,
  SEALED_OVERHEAD_BYTES,
} from './sealed-chunk.ts';
import type { Sodium } from './sodium.ts';
import { decrypt, NONCE_BYTES } from './xchacha20poly1305.ts';
import { nativeZstd, type Zstd } from './zstd.ts';

export interface OpenOptions {
  /** False leaves out hashing the plaintext against the id, where the same job does it anyway. The tag binds the id all the same. */
  readonly identify?: boolean;
}

export interface Opener {
  /**
   * The plaintext, in memory of its own. E_INTEGRITY when the tag, a length, the compressed frame or the id does not match, or the key
   * table does not name `keyId`; E_NEWER_FORMAT for an unknown codec under a valid tag.
   */
  open(kind: ChunkKind, id: ChunkId, keyId: number, sealed: Uint8Array, options?: OpenOptions): Uint8Array;
}

/** An opener for one thread (it reuses scratch memory). */
export function createOpener(sodium: Sodium, keys: VaultKeys, zstd: Zstd = nativeZstd()): Opener {
  const identify = createIdentifier(keys.idKey);
  const generations = new Map<number, KeyGeneration & { readonly associatedData: AssociatedData }>();
  for (const generation of keys.generations) {
    const associatedData = createAssociatedData(keys.vaultId, generation.keyId);
    generations.set(generation.keyId, { ...generation, associatedData });
  }

  return {
    open(kind, id, keyId, sealed, options) {
      const generation = generations.get(keyId);
      if (generation === undefined)
        throw damaged(id, `it names key ${keyId}, which the vault's key table does not have`);
      const bodyBytes = sealed.length - SEALED_OVERHEAD_BYTES;
      if (bodyBytes < SEALED_HEADER_BYTES || sealed.length > CHUNK_SEALED_BYTES_MAX) {
        throw damaged(id, `${sealed.length} bytes are no possible length`);
      }
      const body = decrypt(
        sodium,
        sealed.subarray(NONCE_BYTES),
        generation.associatedData(kind, id),
        sealed.subarray(0, NONCE_BYTES),
        generation.sealingKey,
      );
      if (body === undefined) throw damaged(id, 'its authentication tag does not verify');
      const plain = unpack(id, body, zstd);
      if (options?.identify !== false && !bytesEqual(identify(kind, plain), id)) {
        throw damaged(id, 'its content is not what its id names');
      }
      return plain;
    },
  };
}

/** Everything here is authenticated; a mismatch means a writer that broke the format, so it is refused all the same. */
function unpack(id: ChunkId, body: Uint8Array, zstd: Zstd): Uint8Array {
  const buffer = asBuffer(body);
  const plainBytes = buffer.readUInt32LE(0);
  const storedBytes = buffer.readUInt32LE(4);
  const codec = buffer.readUInt8(8);
  const end = SEALED_HEADER_BYTES + storedBytes;
  if (plainBytes > CHUNK_PLAIN_BYTES_MAX) throw damaged(id, `it states ${plainBytes} bytes of content`);
  if (padme(end) !== body.length) throw damaged(id, 'its padding has the wrong length');
  if (!isZero(body, end)) throw damaged(id, 'its padding is not zero');
  const stored = body.subarray(SEALED_HEADER_BYTES, end);
  switch (codec) {
    case Codec.raw:
      if (storedBytes !== plainBytes) throw damaged(id, 'its two lengths differ although it is not compressed');
      return stored;
    case Codec.zstd:
      try {
        return zstd.decompress(stored, plainBytes);
      } catch (cause) {
        if (cause instanceof EdgeError && cause.code === 'E_INTEGRITY') throw damaged(id, cause.message, cause);
        throw cause;
      }
    default:
      throw newerFormatError(`chunk ${toHex(id)}`, `compression ${codec}`);
  }
}

function isZero(bytes: Uint8Array, from: number): boolean {
  for (let at = from; at < bytes.length; at++) if (bytes[at] !== 0) return false;
  return true;
}

function damaged(id: ChunkId, problem: string, cause?: unknown): EdgeError {
  return new EdgeError('E_INTEGRITY', `chunk ${toHex(id).slice(0, 8)} is damaged: ${problem}`, {
    context: { chunk: toHex(id) },
    ...(cause === undefined ? {} : { cause }),
  });
}
