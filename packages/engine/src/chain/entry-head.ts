/** The header of an entry and its signature: 203 bytes that verify without the body (docs/formats/chain.md). */
import { createHash } from 'node:crypto';
import type { Sodium } from '../codec/sodium.ts';
import { NONCE_BYTES, TAG_BYTES } from '../codec/xchacha20poly1305.ts';
import { ByteReader, ByteWriter, concatBytes } from '../core/bytes.ts';
import { EdgeError, formatError, newerFormatError } from '../core/errors.ts';
import { type AgentId, fromHex, type HexId, toHex, type VaultId } from '../core/ids.ts';
import { MIB } from '../core/limits.ts';
import { SIGNATURE_BYTES, signInDomain, verifyInDomain } from '../keys/ed25519.ts';
import { type Link, type Position, ZERO_LINK } from './position.ts';

const WHAT = 'chain entry';
export const CHAIN_MAGIC: Uint8Array = Buffer.from('EDGECHN1', 'latin1');
export const CHAIN_VERSION = 1;
const DOMAIN = 'edgestore entry v1';
/** Header without the body's digest: the associated data of a sealed body. */
export const HEADER_BEFORE_DIGEST_BYTES = 107;
export const HEADER_BYTES = 139;
export const HEAD_BYTES = HEADER_BYTES + SIGNATURE_BYTES;
export const ENTRY_BODY_BYTES_MAX = 16 * MIB;
/** Sequence numbers are below: an added seq has 48 bits in a hold checkpoint. */
export const SEQ_LIMIT = 2 ** 48;
/** A sealed body before its plaintext: nonce, body header, tag. */
const SEALED_BYTES_MIN = NONCE_BYTES + 9 + TAG_BYTES;
const CARD_BODY_BYTES_MAX = 64 * 1024;

export const EntryKind = {
  record: 1,
  add: 2,
  release: 3,
  holdCheckpoint: 5,
  takeover: 7,
  dropBranch: 8,
  recordCheckpoint: 9,
} as const;
export type EntryKind = (typeof EntryKind)[keyof typeof EntryKind];

export interface EntryHeader {
  readonly vault: VaultId;
  readonly agent: AgentId;
  readonly incarnation: number;
  readonly seq: number;
  readonly previous: Link;
  readonly kind: EntryKind;
  readonly shard: number;
  /** 0: the body is in the clear. */
  readonly keyId: number;
  readonly bodyBytes: number;
  readonly bodySha256: HexId;
}

export interface SignedHead {
  readonly header: EntryHeader;
  /** Header 139 ‖ signature 64. */
  readonly bytes: Uint8Array;
  /** Entry digest e = SHA-256 of `bytes`. */
  readonly digest: HexId;
  /** Link of this entry = SHA-256(previous ‖ e). */
  readonly link: Link;
}

interface KindRule {
  readonly isSealed: boolean;
  /** Hold entries belong to a shard (from 1); a record may; the rest does not (0). */
  readonly shard: 'one' | 'maybe' | 'none';
  readonly bodyBytesMin: number;
  readonly bodyBytesMax: number;
  /** The body is a whole number of these. */
  readonly unit: number;
}

/** What a header may say for each kind. The lengths bound what a reader allocates before the body's digest is checked. */
const RULES: Readonly<Record<EntryKind, KindRule>> = {
  [EntryKind.record]: sealedRule('maybe'),
  [EntryKind.add]: clearRule('one', 80, 80 * 4096, 80),
  [EntryKind.release]: clearRule('one', 32, 32 * 65_536, 32),
  [EntryKind.holdCheckpoint]: clearRule('one', 9224, 9224, 9224),
  [EntryKind.takeover]: clearRule('none', 1, CARD_BODY_BYTES_MAX, 1),
  [EntryKind.dropBranch]: clearRule('none', 32, 32, 32),
  [EntryKind.recordCheckpoint]: sealedRule('none'),
};

/** Whether a store may have the entry without its body: bodies of hold entries come later, or were dropped after a checkpoint. */
export function isHoldKind(kind: EntryKind): boolean {
  return kind === EntryKind.add || kind === EntryKind.release || kind === EntryKind.holdCheckpoint;
}

/** Everything of an entry but its body's length and digest: where it stands and what kind it is. */
export type EntryPlace = Omit<EntryHeader, 'bodyBytes' | 'bodySha256'>;

/** The place of the entry after `before`: undefined for the first entry of a trail. */
export function placeAfter(
  before: Position | undefined,
  writer: Pick<EntryHeader, 'vault' | 'agent' | 'incarnation'>,
  what: Pick<EntryHeader, 'kind' | 'shard' | 'keyId'>,
): EntryPlace {
  const { vault, agent, incarnation } = writer;
  if (before !== undefined && incarnation < before.incarnation)
    throw new EdgeError(
      'E_FAILED',
      `incarnation ${incarnation} may not write behind incarnation ${before.incarnation}`,
    );
  return { vault, agent, incarnation, seq: (before?.seq ?? 0) + 1, previous: before?.link ?? ZERO_LINK, ...what };
}

export function positionOf({ header, link }: SignedHead): Position {
  return { incarnation: header.incarnation, seq: header.seq, link };
}

/** Reads header and signature, 203 bytes, without any key. Nothing in them is proven before `verifyHead`. E_FORMAT, E_NEWER_FORMAT. */
export function decodeHead(bytes: Uint8Array): SignedHead {
  if (bytes.length !== HEAD_BYTES) throw formatError(WHAT, `a head of ${bytes.length} bytes`);
  const header = readHeader(new ByteReader(bytes, WHAT));
  checkHeader(header);
  const own = new Uint8Array(bytes);
  const digest = sha256(own);
  return { header, bytes: own, digest: toHex(digest), link: linkOf(header.previous, toHex(digest)) };
}

/** Fails with E_INTEGRITY unless the key signed the header. */
export function verifyHead(sodium: Sodium, head: SignedHead, signPublicKey: Uint8Array): void {
  const signature = head.bytes.subarray(HEADER_BYTES);
  if (!verifyInDomain(sodium, DOMAIN, head.bytes.subarray(0, HEADER_BYTES), signature, signPublicKey))
    throw entryError(head.header, 'its header is damaged or not signed by the agent');
}

/**
 * Reads a head whose writer's key is known. The signature is checked first, so that a flipped bit is damage and never a later version.
 *
 * @throws E_FORMAT for another length, E_INTEGRITY, then E_FORMAT or E_NEWER_FORMAT for fields that were signed so
 */
export function openHead(sodium: Sodium, bytes: Uint8Array, signPublicKey: Uint8Array): SignedHead {
  if (bytes.length !== HEAD_BYTES) throw formatError(WHAT, `a head of ${bytes.length} bytes`);
  const signature = bytes.subarray(HEADER_BYTES);
  if (!verifyInDomain(sodium, DOMAIN, bytes.subarray(0, HEADER_BYTES), signature, signPublicKey))
    throw new EdgeError('E_INTEGRITY', 'the header of an entry is damaged or not signed by the agent');
  return decodeHead(bytes);
}

/** SHA-256(previous link ‖ entry digest). */
export function linkOf(previous: Link, digest: HexId): Link {
  return toHex(sha256(fromHex(previous, 32), fromHex(digest, 32)));
}

/** Fails with E_INTEGRITY unless the bytes are the body that the header names. */
export function requireBody(head: SignedHead, body: Uint8Array): void {
  const { bodyBytes, bodySha256 } = head.header;
  if (body.length !== bodyBytes)
    throw entryError(head.header, `a body of ${body.length} bytes where it names ${bodyBytes}`);
  if (toHex(sha256(body)) !== bodySha256) throw entryError(head.header, 'its body has another digest');
}

/** Makes and signs the entry of a body that is encoded (and sealed) already. E_LIMIT for a body that is too long, E_FAILED for a place that does not exist. */
export function encodeEntry(
  sodium: Sodium,
  input: EntryPlace & { readonly body: Uint8Array; readonly signSeed: Uint8Array },
): { readonly head: SignedHead; readonly body: Uint8Array } {
  const { body, signSeed, ...place } = input;
  if (body.length > ENTRY_BODY_BYTES_MAX)
    throw new EdgeError('E_LIMIT', `an entry with a body of ${body.length} bytes is longer than may be`);
  const covered = concatBytes([encodeHeaderBeforeDigest(place, body.length), sha256(body)]);
  return { head: decodeHead(concatBytes([covered, signInDomain(sodium, DOMAIN, covered, signSeed)])), body };
}

/** The first 107 bytes of a header: what a sealed body is bound to. */
export function encodeHeaderBeforeDigest(place: EntryPlace, bodyBytes: number): Uint8Array {
  return new ByteWriter()
    .bytes(CHAIN_MAGIC)
    .u16(CHAIN_VERSION)
    .u32(0)
    .u32(0)
    .bytes(fromHex(place.vault, 16))
    .bytes(fromHex(place.agent, 16))
    .u32(place.incarnation)
    .u64(place.seq)
    .bytes(fromHex(place.previous, 32))
    .u8(place.kind)
    .u32(place.shard)
    .u32(place.keyId)
    .u32(bodyBytes)
    .finish();
}

/** An E_INTEGRITY that names the entry. */
export function entryError(
  { agent, incarnation, seq }: Pick<EntryHeader, 'agent' | 'incarnation' | 'seq'>,
  problem: string,
): EdgeError {
  return new EdgeError(
    'E_INTEGRITY',
    `entry ${incarnation}/${seq} of agent ${agent.slice(0, 8)} is damaged: ${problem}`,
    {
      context: { agent, incarnation, seq },
    },
  );
}

function readHeader(reader: ByteReader): EntryHeader {
  reader.magic(CHAIN_MAGIC);
  const version = reader.u16();
  if (version > CHAIN_VERSION) throw newerFormatError(WHAT, `version ${version}`);
  if (version < 1) throw formatError(WHAT, 'version 0');
  const critical = reader.u32();
  if (critical !== 0) throw newerFormatError(WHAT, `critical features 0x${critical.toString(16)}`);
  reader.u32(); // Optional features change nothing for a reader that does not know them.
  return {
    vault: toHex(reader.bytes(16)),
    agent: toHex(reader.bytes(16)),
    incarnation: reader.u32(),
    seq: reader.u64(),
    previous: toHex(reader.bytes(32)),
    kind: kindOf(reader.u8()),
    shard: reader.u32(),
    keyId: reader.u32(),
    bodyBytes: reader.u32(),
    bodySha256: toHex(reader.bytes(32)),
  };
}

function kindOf(code: number): EntryKind {
  if (code === 0) throw formatError(WHAT, 'kind 0');
  if (!(code in RULES)) throw newerFormatError(WHAT, `kind ${code}`);
  return code as EntryKind;
}

function checkHeader({ incarnation, seq, previous, kind, shard, keyId, bodyBytes }: EntryHeader): void {
  const rule = RULES[kind];
  if (incarnation < 1 || seq < 1 || seq >= SEQ_LIMIT) throw formatError(WHAT, `the place ${incarnation}/${seq}`);
  if ((previous === ZERO_LINK) !== (seq === 1))
    throw formatError(WHAT, `number ${seq} with${seq === 1 ? '' : 'out'} an entry before it`);
  if (rule.shard !== 'maybe' && (shard !== 0) !== (rule.shard === 'one'))
    throw formatError(WHAT, `kind ${kind} in shard ${shard}`);
  if ((keyId !== 0) !== rule.isSealed) throw formatError(WHAT, `kind ${kind} under key ${keyId}`);
  if (bodyBytes < rule.bodyBytesMin || bodyBytes > rule.bodyBytesMax || bodyBytes % rule.unit !== 0)
    throw formatError(WHAT, `kind ${kind} with a body of ${bodyBytes} bytes`);
}

function sealedRule(shard: KindRule['shard']): KindRule {
  return { isSealed: true, shard, bodyBytesMin: SEALED_BYTES_MIN, bodyBytesMax: ENTRY_BODY_BYTES_MAX, unit: 1 };
}

function clearRule(shard: KindRule['shard'], bodyBytesMin: number, bodyBytesMax: number, unit: number): KindRule {
  return { isSealed: false, shard, bodyBytesMin, bodyBytesMax, unit };
}

function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
}
