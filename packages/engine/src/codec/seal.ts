/** Turns a plaintext chunk into a sealed chunk: compress where it helps, pad, encrypt, bind to vault, key, kind and id. */
import { hash } from 'node:crypto';
import { bytesOfLatin1 } from '../core/bytes.ts';
import type { RandomBytes } from '../core/clock.ts';
import { EdgeError } from '../core/errors.ts';
import type { ChunkId, ChunkKind } from '../core/ids.ts';
import { CHUNK_PLAIN_BYTES_MAX } from '../core/limits.ts';
import { generationOf, type VaultKeys } from '../keys/vault-keys.ts';
import { looksIncompressible } from './incompressible.ts';
import { padme } from './padme.ts';
import { Codec, createAssociatedData, SEALED_HEADER_BYTES, sealedBytesOf } from './sealed-chunk.ts';
import type { Sodium } from './sodium.ts';
import { encryptInto, NONCE_BYTES } from './xchacha20poly1305.ts';
import { nativeZstd, type Zstd } from './zstd.ts';

export interface SealOptions {
  /** False stores the bytes as they are, without a trial. */
  readonly compress: boolean;
}

export interface SealedSize {
  /** Bytes of the sealed chunk. */
  readonly length: number;
  readonly codec: Codec;
  /** SHA-256 of the sealed chunk. */
  readonly sha256: Uint8Array;
}

export interface Sealer {
  /** The key generation that everything is sealed with. */
  readonly keyId: number;
  /** Seals into new memory. `level`: zstd level 1 to 19. */
  seal(
    kind: ChunkKind,
    id: ChunkId,
    plain: Uint8Array,
    level: number,
    options: SealOptions,
  ): { readonly bytes: Uint8Array; readonly sha256: Uint8Array; readonly codec: Codec };
  /**
   * Seals into the target from `offset` on, where `sealedBytesMax(plain.length)` bytes are always enough; E_LIMIT when there is too
   * little room, and then nothing was written.
   */
  sealInto(
    target: Uint8Array,
    offset: number,
    kind: ChunkKind,
    id: ChunkId,
    plain: Uint8Array,
    level: number,
    options: SealOptions,
  ): SealedSize;
}

/** Shorter plaintexts never win back a frame's own bytes. */
const COMPRESS_BYTES_MIN = 32;
/** Stored compressed only when that saves one byte in this many, as every reader pays for it later. */
const SAVING_FRACTION = 64;

/** A sealer for one thread (it reuses scratch memory). */
export function createSealer(sodium: Sodium, keys: VaultKeys, random: RandomBytes, zstd: Zstd = nativeZstd()): Sealer {
  const generation = generationOf(keys, keys.currentKeyId);
  if (generation === undefined)
    throw new EdgeError('E_FAILED', `the key table lacks its current key ${keys.currentKeyId}`);
  const associatedData = createAssociatedData(keys.vaultId, generation.keyId);
  const deriveNonce = createNonceDerivation(sodium, generation.nonceKey, random);
  let scratch = Buffer.alloc(256 * 1024);

  const write = (
    target: Uint8Array,
    offset: number,
    kind: ChunkKind,
    id: ChunkId,
    plainBytes: number,
    level: number,
    { stored, codec }: Stored,
  ): Uint8Array => {
    const written = SEALED_HEADER_BYTES + stored.length;
    const messageBytes = padme(written);
    if (scratch.length < messageBytes) scratch = Buffer.alloc(messageBytes);
    scratch.writeUInt32LE(plainBytes, 0);
    scratch.writeUInt32LE(stored.length, 4);
    scratch.writeUInt8(codec, 8);
    scratch.set(stored, SEALED_HEADER_BYTES);
    scratch.fill(0, written, messageBytes);
    const nonce = deriveNonce(id, codec, level, stored);
    target.set(nonce, offset);
    const length = encryptInto(
      sodium,
      target,
      offset + NONCE_BYTES,
      scratch.subarray(0, messageBytes),
      associatedData(kind, id),
      nonce,
      generation.sealingKey,
    );
    return bytesOfLatin1(hash('sha256', target.subarray(offset, offset + NONCE_BYTES + length), 'binary'));
  };

  return {
    keyId: generation.keyId,
    seal(kind, id, plain, level, options) {
      const packed = pack(plain, level, options, zstd);
      const bytes = new Uint8Array(sealedBytesOf(packed.stored.length));
      const sha256 = write(bytes, 0, kind, id, plain.length, level, packed);
      return { bytes, sha256, codec: packed.codec };
    },
    sealInto(target, offset, kind, id, plain, level, options) {
      const packed = pack(plain, level, options, zstd);
      const length = sealedBytesOf(packed.stored.length);
      if (offset + length > target.length) {
        throw new EdgeError(
          'E_LIMIT',
          `a sealed chunk of ${length} bytes does not fit ${target.length - offset} bytes`,
        );
      }
      const sha256 = write(target, offset, kind, id, plain.length, level, packed);
      return { length, codec: packed.codec, sha256 };
    },
  };
}

interface Stored {
  readonly stored: Uint8Array;
  readonly codec: Codec;
}

function pack(plain: Uint8Array, level: number, options: SealOptions, zstd: Zstd): Stored {
  if (plain.length > CHUNK_PLAIN_BYTES_MAX) {
    throw new EdgeError('E_LIMIT', `a chunk has at most ${CHUNK_PLAIN_BYTES_MAX} bytes, not ${plain.length}`);
  }
  if (options.compress && plain.length >= COMPRESS_BYTES_MIN && !looksIncompressible(plain, zstd)) {
    const stored = zstd.compress(plain, level);
    if (stored.length < plain.length - plain.length / SAVING_FRACTION) return { stored, codec: Codec.zstd };
  }
  return { stored: plain, codec: Codec.raw };
}

/**
 * Nonces are random *and* bound to what is sealed: a random source that repeats itself (a restored virtual machine) then repeats a
 * nonce only for the very same stored bytes, which gives nothing away.
 */
function createNonceDerivation(
  sodium: Sodium,
  nonceKey: Uint8Array,
  random: RandomBytes,
): (id: ChunkId, codec: Codec, level: number, stored: Uint8Array) => Uint8Array {
  const input = Buffer.alloc(24 + 32 + 1 + 1 + 4 + 32);
  return (id, codec, level, stored) => {
    input.set(random(24), 0);
    input.set(id, 24);
    input.writeUInt8(codec, 56);
    input.writeUInt8(level & 0xff, 57);
    input.writeUInt32LE(stored.length, 58);
    input.write(hash('sha256', stored, 'binary'), 62, 'latin1');
    return sodium.crypto_generichash(NONCE_BYTES, input, nonceKey);
  };
}
