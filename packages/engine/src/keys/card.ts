/** Member cards: who an agent is, signed by the vault's admin key, readable without the vault key. See docs/formats/card.md. */

import { SEQ_LIMIT } from '../chain/entry-head.ts';
import type { Position } from '../chain/position.ts';
import { CborFields, type CborMap, textUpTo } from '../codec/bounded-cbor.ts';
import type { Sodium } from '../codec/sodium.ts';
import { bytesEqual } from '../core/bytes.ts';
import { EdgeError, formatError } from '../core/errors.ts';
import { type AgentId, fromHex, toHex, type VaultId } from '../core/ids.ts';
import { SIGNATURE_BYTES, signInDomain, verifyInDomain } from './ed25519.ts';
import { AGENT_NAME_LENGTH_MAX } from './identity.ts';
import {
  encodeStructure,
  FEATURE_NAME_LENGTH_MAX,
  FEATURES_MAX,
  openStructure,
  refuseUnknownFeatures,
  type StructureFormat,
} from './signed-structure.ts';

export const CARD_ROLES = ['edge', 'holder', 'reader'] as const;
export type CardRole = (typeof CARD_ROLES)[number];

export interface Card {
  readonly vaultId: VaultId;
  readonly agentId: AgentId;
  /** From 1 on; a takeover raises it. */
  readonly incarnation: number;
  readonly name: string;
  readonly site: string;
  readonly role: CardRole;
  /** Ed25519 public key of the incarnation's log, 32 bytes; the same in all its cards. */
  readonly signPublicKey: Uint8Array;
  /** SHA-256 of the agent's TLS key in SPKI form: the pin. */
  readonly tlsSpkiSha256: Uint8Array;
  /** Where the agent listens, most useful first, e.g. `https://host:7443`. */
  readonly addresses: readonly string[];
  /**
   * The entry of an older incarnation that this one's chain goes on from; the same in all cards of the incarnation. Undefined where the chain
   * begins anew, as in a first incarnation.
   */
  readonly base: Position | undefined;
  /** Raised with every new card of the agent; of two valid cards of an incarnation the higher counts. */
  readonly number: number;
}

const WHAT = 'member card';
const DOMAIN = 'edgestore card v1';
const ADDRESSES_MAX = 16;
/** A host name has at most 253 characters. */
const ADDRESS_LENGTH_MAX = 512;
const FORMAT: StructureFormat = {
  what: WHAT,
  magic: 'EDGECARD',
  version: 1,
  cborBytesMax: 4 * 1024,
  trailerBytes: SIGNATURE_BYTES,
};
/** The longest a card can be, for readers. */
export const CARD_BYTES_MAX = 14 + FORMAT.cborBytesMax + SIGNATURE_BYTES;

/** Encodes and signs a card. E_FORMAT when it is too long, or its base lies in no older incarnation. */
export function encodeCard(sodium: Sodium, card: Card, adminSeed: Uint8Array): Uint8Array {
  checkLife(card.incarnation, card.base);
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
      [9, card.base === undefined ? null : encodePosition(card.base)],
      [10, card.number],
      [11, []],
    ]),
  );
  return Buffer.concat([covered, signInDomain(sodium, DOMAIN, covered, adminSeed)]);
}

/** The card when the admin key signed it. Nothing of it is parsed before: E_INTEGRITY, then E_NEWER_FORMAT and E_FORMAT. */
export function verifyCard(sodium: Sodium, bytes: Uint8Array, adminPublicKey: Uint8Array): Card {
  return decodeCard(
    openStructure(FORMAT, bytes, (covered, signature) => {
      if (!verifyInDomain(sodium, DOMAIN, covered, signature, adminPublicKey)) {
        throw new EdgeError('E_INTEGRITY', 'a member card is not signed by the admin key of this vault');
      }
    }),
  );
}

/**
 * E_FORK unless both cards are of the same log: log key and base of an incarnation are those of the card that was taken first. A later card may
 * change everything else. Two keys for one incarnation mean two takeovers, or an admin key in other hands.
 */
export function requireSameLog(first: Card, later: Card): void {
  const differs = [
    ...(bytesEqual(first.signPublicKey, later.signPublicKey) ? [] : ['log key']),
    ...(isSamePosition(first.base, later.base) ? [] : ['base']),
  ];
  if (differs.length === 0) return;
  throw new EdgeError(
    'E_FORK',
    `two signed cards of agent ${first.name} (${first.agentId.slice(0, 8)}), incarnation ${first.incarnation}, have a different ${differs.join(' and ')}`,
    {
      hint: 'The card that was seen first counts. Two machines took over the same agent: stop one of them, and recover it again.',
      context: {
        agent: first.agentId,
        incarnation: first.incarnation,
        used: first.number,
        refused: later.number,
      },
    },
  );
}

function decodeCard(map: CborMap): Card {
  const fields = new CborFields(map, WHAT);
  refuseUnknownFeatures(WHAT, fields.array(11, 'critical features', FEATURES_MAX, textUpTo(FEATURE_NAME_LENGTH_MAX)));
  const incarnation = fields.uint(2, 'incarnation', 0xffff_ffff);
  const base = fields.isNull(9) ? undefined : readPosition(fields.fields(9, 'base'));
  checkLife(incarnation, base);
  return {
    vaultId: toHex(fields.bytes(0, 'vault id', 16)),
    agentId: toHex(fields.bytes(1, 'agent id', 16)),
    incarnation,
    name: fields.text(3, 'name', AGENT_NAME_LENGTH_MAX),
    site: fields.text(4, 'site', AGENT_NAME_LENGTH_MAX),
    role: readRole(fields.text(5, 'role', 16)),
    signPublicKey: fields.bytes(6, 'signing key', 32),
    tlsSpkiSha256: fields.bytes(7, 'TLS pin', 32),
    addresses: fields.array(8, 'addresses', ADDRESSES_MAX, textUpTo(ADDRESS_LENGTH_MAX)),
    base,
    number: fields.uint(10, 'number', Number.MAX_SAFE_INTEGER),
  };
}

function checkLife(incarnation: number, base: Position | undefined): void {
  if (incarnation < 1) throw formatError(WHAT, 'its incarnation is 0');
  if (base === undefined) return;
  if (base.incarnation < 1 || base.incarnation >= incarnation || base.seq < 1) {
    throw formatError(WHAT, `its base ${base.incarnation}/${base.seq} is not in a life before ${incarnation}`);
  }
}

function isSamePosition(a: Position | undefined, b: Position | undefined): boolean {
  return a?.incarnation === b?.incarnation && a?.seq === b?.seq && a?.link === b?.link;
}

function encodePosition(position: Position): Map<number, unknown> {
  return new Map<number, unknown>([
    [0, position.incarnation],
    [1, position.seq],
    [2, fromHex(position.link, 32)],
  ]);
}

function readPosition(fields: CborFields): Position {
  return {
    incarnation: fields.uint(0, 'incarnation', 0xffff_ffff),
    seq: fields.uint(1, 'sequence number', SEQ_LIMIT - 1),
    link: toHex(fields.bytes(2, 'link', 32)),
  };
}

function readRole(text: string): CardRole {
  const role = CARD_ROLES.find((each) => each === text);
  if (role === undefined) throw formatError(WHAT, `its role ${JSON.stringify(text)} does not exist`);
  return role;
}
