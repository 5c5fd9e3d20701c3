/**
 * A record is one entry of an agent's log: a clear envelope, a sealed body, and the agent's signature over both. Byte by byte in
 * `docs/formats/record.md`. The signature is checked before the body is opened, the tag before it is decompressed or parsed.
 */
import { createHash } from 'node:crypto';
import { padme } from '../codec/padme.ts';
import type { Sodium } from '../codec/sodium.ts';
import { decrypt, encrypt, NONCE_BYTES, TAG_BYTES } from '../codec/xchacha20poly1305.ts';
import { nativeZstd, type Zstd } from '../codec/zstd.ts';
import { asBuffer, ByteReader, ByteWriter, concatBytes } from '../core/bytes.ts';
import { EdgeError, formatError, newerFormatError } from '../core/errors.ts';
import { fromHex, type RecordHash, toHex } from '../core/ids.ts';
import { RECORD_BYTES_MAX } from '../core/limits.ts';
import { SIGNATURE_BYTES, signInDomain, verifyInDomain } from '../keys/ed25519.ts';
import { generationOf, type KeyGeneration, type VaultKeys } from '../keys/vault-keys.ts';
import { decodeBody, encodeBody } from './body-encoding.ts';
import type { RecordBody, RecordEnvelope } from './record-body.ts';
import {
  BODY_HEADER_BYTES,
  BODY_PLAIN_BYTES_MAX,
  BodyCodec,
  ENVELOPE_BYTES,
  RECORD_MAGIC,
  RECORD_VERSION,
  SIGNATURE_DOMAIN,
} from './record-layout.ts';

const WHAT = 'record';
const RECORD_BYTES_MIN = ENVELOPE_BYTES + NONCE_BYTES + BODY_HEADER_BYTES + TAG_BYTES + SIGNATURE_BYTES;
/** Bodies are written seldom and kept long. */
const ZSTD_LEVEL = 6;

export interface RecordInput {
  /** Its `keyId` names the generation that the body is sealed with. */
  readonly envelope: RecordEnvelope;
  readonly body: RecordBody;
  readonly keys: VaultKeys;
  /** The agent's Ed25519 seed, 32 bytes. */
  readonly signSeed: Uint8Array;
  /** 24 fresh random bytes. */
  readonly random24: Uint8Array;
  readonly zstd?: Zstd;
}

/** A record as it is stored, and the hash that it is known by (a snapshot's id). */
export interface EncodedRecord {
  readonly bytes: Uint8Array;
  readonly hash: RecordHash;
}

/** The clear part of a record with the hash of the whole. */
export type HashedEnvelope = RecordEnvelope & { readonly hash: RecordHash };

/** Encodes, seals and signs a record. E_LIMIT when it would be longer than a record may be; E_FAILED for a body that no reader would take. */
export function encodeRecord(sodium: Sodium, input: RecordInput): EncodedRecord {
  const { envelope, keys, signSeed } = input;
  const generation = keyOf(keys, envelope.keyId);
  const inner = packBody(input.body, input.zstd ?? nativeZstd());
  const clear = encodeEnvelope(envelope, NONCE_BYTES + inner.length + TAG_BYTES);
  // Bound to what is sealed, so that random bytes that repeat (a cloned machine) do not repeat a nonce.
  const innerHash = createHash('sha256').update(inner).digest();
  const seed = concatBytes([input.random24, clear, innerHash]);
  const nonce = sodium.crypto_generichash(NONCE_BYTES, seed, generation.nonceKey);
  const sealed = encrypt(sodium, inner, clear, nonce, generation.recordKey);
  const covered = concatBytes([clear, nonce, sealed]);
  const bytes = concatBytes([covered, signInDomain(sodium, SIGNATURE_DOMAIN, covered, signSeed)]);
  if (bytes.length > RECORD_BYTES_MAX)
    throw new EdgeError('E_LIMIT', `a record of ${bytes.length} bytes is longer than may be`);
  return { bytes, hash: recordHashOf(bytes) };
}

/** Reads the clear part, without any key, and hashes the record. Nothing in it is proven before `verifyRecord`. E_FORMAT, E_NEWER_FORMAT. */
export function decodeEnvelope(bytes: Uint8Array): HashedEnvelope {
  return { ...readEnvelope(bytes), hash: recordHashOf(bytes) };
}

/** The same without the hash, in constant time: for looking whether bytes are a record at all. */
export function readEnvelope(bytes: Uint8Array): RecordEnvelope {
  if (bytes.length < RECORD_BYTES_MIN || bytes.length > RECORD_BYTES_MAX)
    throw formatError(WHAT, `${bytes.length} bytes are no possible length`);
  const reader = new ByteReader(bytes, WHAT);
  reader.magic(RECORD_MAGIC);
  const version = reader.u16();
  if (version > RECORD_VERSION) throw newerFormatError(WHAT, `version ${version}`);
  if (version < 1) throw formatError(WHAT, 'version 0');
  const critical = reader.u32();
  if (critical !== 0) throw newerFormatError(WHAT, `critical features 0x${critical.toString(16)}`);
  reader.u32(); // Optional features change nothing for a reader that does not know them.
  const vault = toHex(reader.bytes(16));
  const agent = toHex(reader.bytes(16));
  const incarnation = reader.u32();
  const seq = reader.u64();
  const previous = toHex(reader.bytes(32));
  const keyId = reader.u32();
  const bodyBytes = reader.u32();
  if (incarnation < 1 || seq < 1) throw formatError(WHAT, 'incarnations and sequence numbers begin at 1');
  if (bodyBytes !== bytes.length - ENVELOPE_BYTES - SIGNATURE_BYTES)
    throw formatError(WHAT, `a body of ${bodyBytes} bytes in ${bytes.length}`);
  return { vault, agent, incarnation, seq, previous, keyId };
}

/** Fails with E_INTEGRITY unless the key signed the record. */
export function verifyRecord(sodium: Sodium, bytes: Uint8Array, signPublicKey: Uint8Array): void {
  const { agent, incarnation, seq } = readEnvelope(bytes);
  const covered = bytes.subarray(0, bytes.length - SIGNATURE_BYTES);
  const signature = bytes.subarray(bytes.length - SIGNATURE_BYTES);
  if (!verifyInDomain(sodium, SIGNATURE_DOMAIN, covered, signature, signPublicKey)) {
    throw new EdgeError(
      'E_INTEGRITY',
      `record ${incarnation}/${seq} of agent ${agent.slice(0, 8)} is damaged or not signed by it`,
      {
        context: { agent, incarnation, seq },
      },
    );
  }
}

/**
 * Opens the body of a record whose signature the caller has verified. E_INTEGRITY when the tag or a length does not match, E_WRONG_KEY for a
 * record of another vault, E_FORMAT or E_NEWER_FORMAT for what was sealed.
 */
export function openRecord(sodium: Sodium, bytes: Uint8Array, keys: VaultKeys, zstd: Zstd = nativeZstd()): RecordBody {
  const envelope = readEnvelope(bytes);
  if (envelope.vault !== keys.vaultId)
    throw new EdgeError('E_WRONG_KEY', `a record of vault ${envelope.vault} under the keys of ${keys.vaultId}`);
  const generation = keyOf(keys, envelope.keyId);
  const nonce = bytes.subarray(ENVELOPE_BYTES, ENVELOPE_BYTES + NONCE_BYTES);
  const sealed = bytes.subarray(ENVELOPE_BYTES + NONCE_BYTES, bytes.length - SIGNATURE_BYTES);
  const inner = decrypt(sodium, sealed, bytes.subarray(0, ENVELOPE_BYTES), nonce, generation.recordKey);
  if (inner === undefined) throw damaged(envelope, 'its authentication tag does not verify');
  return decodeBody(unpackBody(envelope, inner, zstd));
}

/** SHA-256 of a whole record, as hex. */
export function recordHashOf(bytes: Uint8Array): RecordHash {
  return createHash('sha256').update(bytes).digest('hex');
}

function encodeEnvelope(envelope: RecordEnvelope, bodyBytes: number): Uint8Array {
  return new ByteWriter()
    .bytes(RECORD_MAGIC)
    .u16(RECORD_VERSION)
    .u32(0)
    .u32(0)
    .bytes(fromHex(envelope.vault, 16))
    .bytes(fromHex(envelope.agent, 16))
    .u32(envelope.incarnation)
    .u64(envelope.seq)
    .bytes(fromHex(envelope.previous, 32))
    .u32(envelope.keyId)
    .u32(bodyBytes)
    .finish();
}

/** plain length ‖ stored length ‖ codec ‖ stored bytes ‖ zeros to Padmé. */
function packBody(body: RecordBody, zstd: Zstd): Uint8Array {
  const plain = encodeBody(body);
  if (plain.length > BODY_PLAIN_BYTES_MAX)
    throw new EdgeError('E_LIMIT', `a record body of ${plain.length} bytes is longer than may be`);
  checkReadable(plain);
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

function unpackBody(envelope: RecordEnvelope, inner: Uint8Array, zstd: Zstd): Uint8Array {
  const view = asBuffer(inner);
  const plainBytes = view.readUInt32LE(0);
  const storedBytes = view.readUInt32LE(4);
  const codec = view[8]!;
  const end = BODY_HEADER_BYTES + storedBytes;
  if (end > inner.length || padme(end) !== inner.length)
    throw damaged(envelope, `${storedBytes} stored bytes in ${inner.length}`);
  if (plainBytes > BODY_PLAIN_BYTES_MAX) throw damaged(envelope, `it states ${plainBytes} bytes`);
  if (!inner.subarray(end).every((byte) => byte === 0)) throw damaged(envelope, 'its padding is not zero');
  const stored = inner.subarray(BODY_HEADER_BYTES, end);
  if (codec === BodyCodec.zstd) return zstd.decompress(stored, plainBytes);
  if (codec !== BodyCodec.raw) throw newerFormatError(WHAT, `codec ${codec}`);
  if (plainBytes !== storedBytes) throw damaged(envelope, `${plainBytes} bytes are stored as ${storedBytes}`);
  return stored;
}

/** A log cannot be mended once it is signed: what no reader would take (a text beyond its bound) must not get into it. */
function checkReadable(plain: Uint8Array): void {
  try {
    decodeBody(plain);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new EdgeError('E_FAILED', `a record cannot be written: ${why}`, { cause });
  }
}

function keyOf(keys: VaultKeys, keyId: number): KeyGeneration {
  const generation = generationOf(keys, keyId);
  if (generation === undefined)
    throw new EdgeError('E_INTEGRITY', `a record names key ${keyId}, which the vault's key table does not have`);
  return generation;
}

function damaged({ agent, incarnation, seq }: RecordEnvelope, problem: string): EdgeError {
  return new EdgeError(
    'E_INTEGRITY',
    `record ${incarnation}/${seq} of agent ${agent.slice(0, 8)} is damaged: ${problem}`,
    {
      context: { agent, incarnation, seq },
    },
  );
}
