/**
 * Sealed bodies of entries: nonce ‖ ciphertext ‖ tag, bound to the first 107 bytes of their header (docs/formats/chain.md). The digest in the header
 * covers the sealed body, so it cannot be bound itself.
 */
import { createHash } from 'node:crypto';
import { padme } from '../codec/padme.ts';
import type { Sodium } from '../codec/sodium.ts';
import { decrypt, encrypt, NONCE_BYTES, TAG_BYTES } from '../codec/xchacha20poly1305.ts';
import { nativeZstd, type Zstd } from '../codec/zstd.ts';
import { asBuffer, concatBytes } from '../core/bytes.ts';
import { EdgeError, newerFormatError } from '../core/errors.ts';
import { generationOf, type KeyGeneration, type VaultKeys } from '../keys/vault-keys.ts';
import { BODY_HEADER_BYTES, BODY_PLAIN_BYTES_MAX, BodyCodec } from '../log/record-layout.ts';
import {
  ENTRY_BODY_BYTES_MAX,
  type EntryPlace,
  encodeHeaderBeforeDigest,
  entryError,
  HEADER_BEFORE_DIGEST_BYTES,
  requireBody,
  type SignedHead,
} from './entry-head.ts';

/** Bodies are written seldom and kept long. */
const ZSTD_LEVEL = 6;

export interface SealInput {
  /** Its `keyId` names the generation that the body is sealed with. */
  readonly header: EntryPlace;
  readonly plain: Uint8Array;
  readonly keys: VaultKeys;
  /** 24 fresh random bytes. */
  readonly random24: Uint8Array;
  readonly zstd?: Zstd;
}

/** Compresses, pads and seals. E_LIMIT when the body would be longer than an entry's may be. */
export function sealBody(sodium: Sodium, input: SealInput): Uint8Array {
  const { header, plain, keys } = input;
  const generation = keyOf(keys, header.keyId);
  if (plain.length > BODY_PLAIN_BYTES_MAX)
    throw new EdgeError('E_LIMIT', `a body of ${plain.length} bytes is longer than may be`);
  const inner = packPlain(plain, input.zstd ?? nativeZstd());
  const bodyBytes = NONCE_BYTES + inner.length + TAG_BYTES;
  if (bodyBytes > ENTRY_BODY_BYTES_MAX)
    throw new EdgeError('E_LIMIT', `an entry with a body of ${bodyBytes} bytes is longer than may be`);
  const clear = encodeHeaderBeforeDigest(header, bodyBytes);
  // Bound to the plaintext, so that random bytes that repeat (a cloned machine) do not repeat a nonce.
  const innerHash = createHash('sha256').update(inner).digest();
  const seed = concatBytes([input.random24, clear, innerHash]);
  const nonce = sodium.crypto_generichash(NONCE_BYTES, seed, generation.nonceKey);
  return concatBytes([nonce, encrypt(sodium, inner, clear, nonce, generation.recordKey)]);
}

/**
 * Opens a body of an entry whose signature the caller has verified. E_INTEGRITY when a digest, the tag or a length does not match, E_WRONG_KEY for an
 * entry of another vault, E_NEWER_FORMAT for an unknown codec.
 */
export function openBody(
  sodium: Sodium,
  head: SignedHead,
  body: Uint8Array,
  keys: VaultKeys,
  zstd: Zstd = nativeZstd(),
): Uint8Array {
  const { header, bytes } = head;
  if (header.vault !== keys.vaultId)
    throw new EdgeError('E_WRONG_KEY', `an entry of vault ${header.vault} under the keys of ${keys.vaultId}`);
  requireBody(head, body);
  if (header.keyId === 0 || body.length < NONCE_BYTES + BODY_HEADER_BYTES + TAG_BYTES)
    throw entryError(header, 'its body is not sealed');
  const { recordKey } = keyOf(keys, header.keyId);
  const clear = bytes.subarray(0, HEADER_BEFORE_DIGEST_BYTES);
  const inner = decrypt(sodium, body.subarray(NONCE_BYTES), clear, body.subarray(0, NONCE_BYTES), recordKey);
  if (inner === undefined) throw entryError(header, 'its authentication tag does not verify');
  return unpackPlain(head, inner, zstd);
}

function packPlain(plain: Uint8Array, zstd: Zstd): Uint8Array {
  const frame = zstd.compress(plain, ZSTD_LEVEL);
  const isSmaller = frame.length < plain.length;
  const stored = isSmaller ? frame : plain;
  const out = Buffer.alloc(padme(BODY_HEADER_BYTES + stored.length));
  out.writeUInt32LE(plain.length, 0);
  out.writeUInt32LE(stored.length, 4);
  out.writeUInt8(isSmaller ? BodyCodec.zstd : BodyCodec.raw, 8);
  out.set(stored, BODY_HEADER_BYTES);
  return out;
}

function unpackPlain({ header }: SignedHead, inner: Uint8Array, zstd: Zstd): Uint8Array {
  const view = asBuffer(inner);
  const plainBytes = view.readUInt32LE(0);
  const storedBytes = view.readUInt32LE(4);
  const codec = view[8]!;
  const end = BODY_HEADER_BYTES + storedBytes;
  if (end > inner.length || padme(end) !== inner.length)
    throw entryError(header, `${storedBytes} stored bytes in ${inner.length}`);
  if (plainBytes > BODY_PLAIN_BYTES_MAX) throw entryError(header, `it states ${plainBytes} bytes`);
  if (!inner.subarray(end).every((byte) => byte === 0)) throw entryError(header, 'its padding is not zero');
  const stored = inner.subarray(BODY_HEADER_BYTES, end);
  if (codec === BodyCodec.zstd) return zstd.decompress(stored, plainBytes);
  if (codec !== BodyCodec.raw) throw newerFormatError('sealed body', `codec ${codec}`);
  if (plainBytes !== storedBytes) throw entryError(header, `${plainBytes} bytes are stored as ${storedBytes}`);
  return stored;
}

function keyOf(keys: VaultKeys, keyId: number): KeyGeneration {
  const generation = generationOf(keys, keyId);
  if (generation === undefined)
    throw new EdgeError('E_INTEGRITY', `an entry names key ${keyId}, which the vault's key table does not have`);
  return generation;
}
