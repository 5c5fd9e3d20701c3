/** Member cards: who an agent is, signed by the vault's admin key, readable without the vault key. See docs/formats/card.md. */
import { CborFields, textUpTo } from '../codec/bounded-cbor.ts';
import type { Sodium } from '../codec/sodium.ts';
import { EdgeError, formatError } from '../core/errors.ts';
import { type AgentId, fromHex, toHex, type VaultId } from '../core/ids.ts';
import type { Head } from '../log/record-body.ts';
import { SIGNATURE_BYTES, signInDomain, verifyInDomain } from './ed25519.ts';
import { AGENT_NAME_LENGTH_MAX } from './identity.ts';
import {
  decodeStructure,
  encodeStructure,
  FEATURE_NAME_LENGTH_MAX,
  FEATURES_MAX,
  refuseUnknownFeatures,
  type StructureFormat,
} from './signed-structure.ts';

export const CARD_ROLES = ['edge', 'holder', 'reader'] as const;
export type CardRole = (typeof CARD_ROLES)[number];

export interface Card {
  readonly vaultId: VaultId;
  readonly agentId: AgentId;
  readonly incarnation: number;
  readonly name: string;
  readonly site: string;
  readonly role: CardRole;
  /** Ed25519 public key of the agent's log, 32 bytes. */
  readonly signPublicKey: Uint8Array;
  /** SHA-256 of the agent's TLS key in SPKI form: the pin. */
  readonly tlsSpkiSha256: Uint8Array;
  /** Where the agent listens, most useful first, e.g. `https://host:7443`. */
  readonly addresses: readonly string[];
  /** The newest record of the older incarnations that this one takes over; undefined for a first life. */
  readonly base: Head | undefined;
  /** Raised with every new card of the agent; of two valid ones the higher counts. */
  readonly number: number;
}

const WHAT = 'member card';
const DOMAIN = 'edgestore card v1';
const ADDRESSES_MAX = 16;
const ADDRESS_LENGTH_MAX = 512;
const FORMAT: StructureFormat = {
  what: WHAT,
  magic: 'EDGECARD',
  version: 1,
  cborBytesMax: 16 * 1024,
  trailerBytes: SIGNATURE_BYTES,
};
/** The longest a card can be, for readers. */
export const CARD_BYTES_MAX = 14 + FORMAT.cborBytesMax + SIGNATURE_BYTES;

/** Encodes and signs a card. */
export function encodeCard(sodium: Sodium, card: Card, adminSeed: Uint8Array): Uint8Array {
  const covered = encodeStructure(
    FORMAT,
    new Map<number, unknown>([
      [0, fromHex(card.vaultId, 16)],
      [1, fromHex(card.agentId, 16)],
      [2, card.incarnation],
      [3, card.name],
      [4, card.site],
      [5, card.role],
      [6, card.signPublicKey],
      [7, card.tlsSpkiSha256],
      [8, [...card.addresses]],
      [9, card.base === undefined ? null : encodeHead(card.base)],
      [10, card.number],
      [11, []],
    ]),
  );
  return Buffer.concat([covered, signInDomain(sodium, DOMAIN, covered, adminSeed)]);
}

/** Reads a card without checking its signature: E_FORMAT or E_NEWER_FORMAT. */
export function decodeCard(bytes: Uint8Array): Card {
  const fields = new CborFields(decodeStructure(FORMAT, bytes).map, WHAT);
  refuseUnknownFeatures(WHAT, fields.array(11, 'critical features', FEATURES_MAX, textUpTo(FEATURE_NAME_LENGTH_MAX)));
  return {
    vaultId: toHex(fields.bytes(0, 'vault id', 16)),
    agentId: toHex(fields.bytes(1, 'agent id', 16)),
    incarnation: fields.uint(2, 'incarnation', 0xffff_ffff),
    name: fields.text(3, 'name', AGENT_NAME_LENGTH_MAX),
    site: fields.text(4, 'site', AGENT_NAME_LENGTH_MAX),
    role: readRole(fields.text(5, 'role', 16)),
    signPublicKey: fields.bytes(6, 'signing key', 32),
    tlsSpkiSha256: fields.bytes(7, 'TLS pin', 32),
    addresses: fields.array(8, 'addresses', ADDRESSES_MAX, textUpTo(ADDRESS_LENGTH_MAX)),
    base: fields.isNull(9) ? undefined : readHead(fields.fields(9, 'base head')),
    number: fields.uint(10, 'number', Number.MAX_SAFE_INTEGER),
  };
}

/** The card when the admin key signed it; E_INTEGRITY otherwise. */
export function verifyCard(sodium: Sodium, bytes: Uint8Array, adminPublicKey: Uint8Array): Card {
  const { covered, trailer } = decodeStructure(FORMAT, bytes);
  if (!verifyInDomain(sodium, DOMAIN, covered, trailer, adminPublicKey)) {
    throw new EdgeError('E_INTEGRITY', 'a member card is not signed by the admin key of this vault');
  }
  return decodeCard(bytes);
}

function encodeHead(head: Head): Map<number, unknown> {
  return new Map<number, unknown>([
    [0, head.incarnation],
    [1, head.seq],
    [2, fromHex(head.hash, 32)],
  ]);
}

function readHead(fields: CborFields): Head {
  return {
    incarnation: fields.uint(0, 'incarnation', 0xffff_ffff),
    seq: fields.uint(1, 'sequence number', Number.MAX_SAFE_INTEGER),
    hash: toHex(fields.bytes(2, 'record hash', 32)),
  };
}

function readRole(text: string): CardRole {
  const role = CARD_ROLES.find((each) => each === text);
  if (role === undefined) throw formatError(WHAT, `its role ${JSON.stringify(text)} does not exist`);
  return role;
}
