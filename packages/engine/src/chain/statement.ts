/** A holder's signed answer to a nonce: what it has of one owner. Byte by byte in `docs/formats/statement.md`. */
import { CborFields, type CborMap, textUpTo } from '../codec/bounded-cbor.ts';
import type { Sodium } from '../codec/sodium.ts';
import { concatBytes } from '../core/bytes.ts';
import { EdgeError, formatError } from '../core/errors.ts';
import { type AgentId, type ChunkId, fromHex, type HexId, toHex, type VaultId } from '../core/ids.ts';
import { KIB } from '../core/limits.ts';
import { SIGNATURE_BYTES, signInDomain, verifyInDomain } from '../keys/ed25519.ts';
import {
  decodeStructure,
  encodeStructure,
  FEATURE_NAME_LENGTH_MAX,
  FEATURES_MAX,
  openStructure,
  refuseUnknownFeatures,
  type StructureFormat,
} from '../keys/signed-structure.ts';
import { SEQ_LIMIT } from './entry-head.ts';
import type { Position } from './position.ts';

const WHAT = 'statement';
const DOMAIN = 'edgestore statement v1';
export const STATED_SHARDS_MAX = 1024;
export const STATED_BRANCHES_MAX = 256;
export const STATED_BACKING_MAX = 64;
export const NONCE_BYTES = 32;
const FORMAT: StructureFormat = {
  what: WHAT,
  magic: 'EDGESTMT',
  version: 1,
  cborBytesMax: 512 * KIB,
  trailerBytes: SIGNATURE_BYTES,
};
/** The longest a statement can be, for readers. */
export const STATEMENT_BYTES_MAX = 14 + FORMAT.cborBytesMax + SIGNATURE_BYTES;

export const UNSATISFIED_REASONS = ['wanted', 'lost', 'unreadable'] as const;
export type UnsatisfiedReason = (typeof UNSATISFIED_REASONS)[number];

export interface StatedShard {
  readonly shard: number;
  readonly applied: number;
  readonly whole: number;
  readonly wanted: number;
  readonly lost: number;
  readonly unreadable: number;
  /** SHA-256 of the list; zeros above 65,536 ids, where no list is made. */
  readonly listDigest: HexId;
}

/** A bucket that stands behind copies of the holder. */
export interface Backing {
  readonly storeId: HexId;
  readonly location: HexId;
  readonly shards: readonly number[];
}

export interface Statement {
  readonly vault: VaultId;
  readonly holder: AgentId;
  readonly holderIncarnation: number;
  readonly storeId: HexId;
  readonly epoch: bigint;
  readonly startId: HexId;
  readonly owner: AgentId;
  /** The durable end of the owner's chain there; undefined for none. */
  readonly position: Position | undefined;
  readonly layoutVersion: number;
  /** 32 bytes, the asker's. */
  readonly nonce: Uint8Array;
  /** Links of branch tips. */
  readonly branches: readonly HexId[];
  /** For people only. */
  readonly wallNs: bigint;
  readonly shards: readonly StatedShard[];
  readonly backing: readonly Backing[];
}

/** What a shard does not have, sorted by id. */
export type UnsatisfiedList = readonly { readonly id: ChunkId; readonly reason: UnsatisfiedReason }[];

/** Encodes and signs with the holder's log seed. E_LIMIT for more shards, branches or backing than a statement may have. */
export function encodeStatement(sodium: Sodium, statement: Statement, signSeed: Uint8Array): Uint8Array {
  const { position, shards, branches, backing } = statement;
  if (shards.length > STATED_SHARDS_MAX || branches.length > STATED_BRANCHES_MAX || backing.length > STATED_BACKING_MAX)
    throw new EdgeError(
      'E_LIMIT',
      `a statement of ${shards.length} shards, ${branches.length} branches and ${backing.length} buckets`,
    );
  const fields = new Map<number, unknown>([
    [0, fromHex(statement.vault, 16)],
    [1, fromHex(statement.holder, 16)],
    [2, statement.holderIncarnation],
    [3, fromHex(statement.storeId, 16)],
    [4, statement.epoch],
    [5, fromHex(statement.startId, 16)],
    [6, fromHex(statement.owner, 16)],
    [7, position === undefined ? null : [position.incarnation, position.seq, fromHex(position.link, 32)]],
    [8, statement.layoutVersion],
    [9, statement.nonce],
    [10, branches.map((tip) => fromHex(tip, 32))],
    [11, statement.wallNs],
    [12, shards.map(shardRow)],
    [
      13,
      backing.map(({ storeId, location, shards: backed }) => [
        fromHex(storeId, 16),
        fromHex(location, 32),
        [...backed],
      ]),
    ],
    [14, []],
  ]);
  const covered = encodeStructure(FORMAT, fields);
  const signed = concatBytes([covered, signInDomain(sodium, DOMAIN, covered, signSeed)]);
  // A signed statement that its asker cannot read would look like an outage there.
  decodeStatement(signed);
  return signed;
}

/** The statement when the holder's key signed it. E_INTEGRITY otherwise, before anything of it is parsed; E_FORMAT, E_NEWER_FORMAT. */
export function verifyStatement(sodium: Sodium, bytes: Uint8Array, signPublicKey: Uint8Array): Statement {
  const map = openStructure(FORMAT, bytes, (covered, trailer) => {
    if (!verifyInDomain(sodium, DOMAIN, covered, trailer, signPublicKey))
      throw new EdgeError('E_INTEGRITY', 'a statement is damaged or not signed by its holder');
  });
  return statementOf(map);
}

/** Reads a statement that this agent signed or verified before. E_FORMAT, E_NEWER_FORMAT. */
export function decodeStatement(bytes: Uint8Array): Statement {
  return statementOf(decodeStructure(FORMAT, bytes).map);
}

function statementOf(map: CborMap): Statement {
  const fields = new CborFields(map, WHAT);
  refuseUnknownFeatures(WHAT, fields.array(14, 'critical features', FEATURES_MAX, textUpTo(FEATURE_NAME_LENGTH_MAX)));
  const shards = fields.array(12, 'shards', STATED_SHARDS_MAX, readShard);
  if (shards.some(({ shard }, i) => i > 0 && shard <= shards[i - 1]!.shard))
    throw formatError(WHAT, 'its shards are not in order');
  const position = readPosition(fields, map);
  if (shards.some(({ applied }) => applied > (position?.seq ?? 0)))
    throw formatError(WHAT, 'a shard is applied beyond its position');
  return {
    vault: toHex(fields.bytes(0, 'vault id', 16)),
    holder: toHex(fields.bytes(1, 'holder', 16)),
    holderIncarnation: fields.uint(2, 'incarnation', U32_MAX),
    storeId: toHex(fields.bytes(3, 'store id', 16)),
    epoch: fields.bigUint(4, 'epoch'),
    startId: toHex(fields.bytes(5, 'start id', 16)),
    owner: toHex(fields.bytes(6, 'owner', 16)),
    position,
    layoutVersion: fields.uint(8, 'layout version', Number.MAX_SAFE_INTEGER),
    nonce: fields.bytes(9, 'nonce', NONCE_BYTES),
    branches: fields.array(10, 'branches', STATED_BRANCHES_MAX, (value) => hexOf(value, 32)),
    wallNs: fields.bigUint(11, 'time'),
    shards,
    backing: fields.array(13, 'backing', STATED_BACKING_MAX, readBacking),
  };
}

const U32_MAX = 0xffff_ffff;

function shardRow({ shard, applied, whole, wanted, lost, unreadable, listDigest }: StatedShard): unknown[] {
  return [shard, applied, whole, wanted, lost, unreadable, fromHex(listDigest, 32)];
}

function readShard(value: unknown): StatedShard | undefined {
  if (!Array.isArray(value) || value.length !== 7) return undefined;
  const [shard, applied, whole, wanted, lost, unreadable, digest] = value as unknown[];
  const listDigest = hexOf(digest, 32);
  if (!isUint(shard, U32_MAX) || shard < 1 || !isUint(applied, SEQ_LIMIT - 1) || !isUint(whole, SEQ_LIMIT - 1))
    return undefined;
  if (!isUint(wanted) || !isUint(lost) || !isUint(unreadable) || listDigest === undefined) return undefined;
  // A store that lacks the bodies cannot be whole beyond them.
  if (whole > applied) return undefined;
  return { shard, applied, whole, wanted, lost, unreadable, listDigest };
}

function readPosition(fields: CborFields, map: CborMap): Position | undefined {
  if (fields.isNull(7)) return undefined;
  const value = map.get(7);
  const [incarnation, seq, link] = Array.isArray(value) && value.length === 3 ? (value as unknown[]) : [];
  const hex = hexOf(link, 32);
  if (!isUint(incarnation, U32_MAX) || incarnation < 1 || !isUint(seq, SEQ_LIMIT - 1) || seq < 1 || hex === undefined)
    throw formatError(WHAT, 'its position is missing or has the wrong form');
  return { incarnation, seq, link: hex };
}

function readBacking(value: unknown): Backing | undefined {
  if (!Array.isArray(value) || value.length !== 3) return undefined;
  const [store, place, shards] = value as unknown[];
  const storeId = hexOf(store, 16);
  const location = hexOf(place, 32);
  if (storeId === undefined || location === undefined || !Array.isArray(shards)) return undefined;
  if (shards.length > STATED_SHARDS_MAX || !shards.every((shard) => isUint(shard, U32_MAX) && shard > 0))
    return undefined;
  return { storeId, location, shards: shards as number[] };
}

function hexOf(value: unknown, bytes: number): HexId | undefined {
  return value instanceof Uint8Array && value.length === bytes ? toHex(value) : undefined;
}

function isUint(value: unknown, max: number = Number.MAX_SAFE_INTEGER): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= max;
}
