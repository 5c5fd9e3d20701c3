/** What everyone has to know about a vault before opening anything of it (`vault.edge`). See docs/formats/vault.md. */

import { type ChunkerParams, problemOfChunkerParams } from '../chunking/params.ts';
import { asCborMap, CborFields, type CborMap, textUpTo } from '../codec/bounded-cbor.ts';
import type { Sodium } from '../codec/sodium.ts';
import { EdgeError, formatError, newerFormatError } from '../core/errors.ts';
import { fromHex, toHex, type VaultId } from '../core/ids.ts';
import { CHUNK_PLAIN_BYTES_MAX } from '../core/limits.ts';
import { SIGNATURE_BYTES, signInDomain, verifyInDomain } from './ed25519.ts';
import { unwrapGeneration, WRAPPED_SECRET_BYTES } from './key-generation.ts';
import {
  decodeStructure,
  encodeStructure,
  FEATURE_NAME_LENGTH_MAX,
  FEATURES_MAX,
  openStructure,
  refuseUnknownFeatures,
  type StructureFormat,
  splitStructure,
} from './signed-structure.ts';
import { deriveBaseKeys, deriveVaultKeys, KEY_GENERATIONS_MAX, type VaultKeys } from './vault-keys.ts';

/** How files are cut into chunks; fixed when the vault is made. Lengths in bytes. */
export interface ChunkerSettings extends ChunkerParams {
  readonly name: 'fastcdc-1';
}

export interface KeyTableRow {
  readonly keyId: number;
  readonly createdNs: bigint;
  /** The generation's secret, wrapped under a key that follows from the vault key; see `key-generation.ts`. */
  readonly wrapped: Uint8Array;
  /** Optional fields of newer programs, by key; written back as they were. */
  readonly unknownFields?: CborMap;
}

export interface VaultDescriptor {
  readonly vaultId: VaultId;
  readonly formatVersion: number;
  readonly criticalFeatures: readonly string[];
  readonly chunker: ChunkerSettings;
  /** Key generations, ascending; the last is current. No row ever leaves. */
  readonly keyTable: readonly KeyTableRow[];
  readonly adminPublicKey: Uint8Array;
  /** Lets a store without the vault key check a recovering machine's proof. */
  readonly proofPublicKey: Uint8Array;
  /** From 1 on, one more with each descriptor that the admin signs. Nobody goes back to a lower one. */
  readonly epoch: number;
  /** SHA-256 of the whole descriptor of the epoch before; undefined in the first. */
  readonly previous: Uint8Array | undefined;
  /** Optional fields of newer programs, by key; written back as they were. */
  readonly unknownFields?: CborMap;
}

export const VAULT_FORMAT_VERSION = 1;
export const FIRST_EPOCH = 1;

const MAC_BYTES = 32;
const DOMAIN = 'edgestore vault v1';
const WHAT = 'vault descriptor';
const FORMAT: StructureFormat = {
  what: WHAT,
  magic: 'EDGEVALT',
  version: 1,
  cborBytesMax: 64 * 1024,
  trailerBytes: MAC_BYTES + SIGNATURE_BYTES,
};
/** The longest that a descriptor can be, for readers. */
export const DESCRIPTOR_BYTES_MAX = 14 + FORMAT.cborBytesMax + FORMAT.trailerBytes;
const KNOWN_KEYS = 9;
const KNOWN_ROW_KEYS = 3;

/** Encodes, MACs with the vault's key and signs with the admin's. */
export function encodeVaultDescriptor(
  sodium: Sodium,
  descriptor: VaultDescriptor,
  secrets: { readonly macKey: Uint8Array; readonly adminSeed: Uint8Array },
): Uint8Array {
  const { chunker } = descriptor;
  const fields = new Map<number, unknown>([
    [0, fromHex(descriptor.vaultId, 16)],
    [1, descriptor.formatVersion],
    [2, descriptor.criticalFeatures],
    [
      3,
      new Map<number, unknown>([
        [0, chunker.name],
        [1, chunker.min],
        [2, chunker.avg],
        [3, chunker.max],
      ]),
    ],
    [4, descriptor.keyTable.map(encodeRow)],
    [5, descriptor.adminPublicKey],
    [6, descriptor.proofPublicKey],
    [7, descriptor.epoch],
    [8, descriptor.previous ?? null],
  ]);
  for (const [key, value] of descriptor.unknownFields ?? []) fields.set(key, value);
  const covered = encodeStructure(FORMAT, fields);
  const mac = macOf(sodium, covered, secrets.macKey);
  const signed = Buffer.concat([covered, mac]);
  return Buffer.concat([signed, signInDomain(sodium, DOMAIN, signed, secrets.adminSeed)]);
}

/**
 * From a vault key to a usable vault. The MAC says that someone with the vault key wrote exactly this; nothing is parsed before it verifies. The
 * signature says that the admin key did.
 *
 * @param adminPublicKey when it is known already; otherwise the descriptor's own counts, because the MAC vouches for it
 * @throws E_INTEGRITY, E_NEWER_FORMAT, E_FORMAT; E_WRONG_KEY for a key of another length
 */
export function openVaultDescriptor(
  sodium: Sodium,
  bytes: Uint8Array,
  vaultKey: Uint8Array,
  adminPublicKey?: Uint8Array,
): { readonly descriptor: VaultDescriptor; readonly keys: VaultKeys } {
  // The MAC key does not depend on the vault id, which is not known before the MAC is verified.
  const { macKey } = deriveBaseKeys(sodium, '', vaultKey);
  const map = openStructure(FORMAT, bytes, (covered, trailer) => verifyMac(sodium, covered, trailer, macKey));
  const descriptor = decodeVaultDescriptor(map);
  const { covered, trailer } = splitStructure(FORMAT, bytes);
  verifySignature(sodium, covered, trailer, adminPublicKey ?? descriptor.adminPublicKey);
  const base = deriveBaseKeys(sodium, descriptor.vaultId, vaultKey);
  const secrets = descriptor.keyTable.map(({ keyId, wrapped }) => unwrapGeneration(sodium, base, keyId, wrapped));
  return { descriptor, keys: deriveVaultKeys(sodium, base, secrets) };
}

/** The descriptor when the admin key signed it: for a store without the vault key. Nothing is parsed before the signature verifies. */
export function verifyVaultDescriptor(sodium: Sodium, bytes: Uint8Array, adminPublicKey: Uint8Array): VaultDescriptor {
  return decodeVaultDescriptor(
    openStructure(FORMAT, bytes, (covered, trailer) => verifySignature(sodium, covered, trailer, adminPublicKey)),
  );
}

/**
 * The descriptor, checked with the admin key that it names itself: tells damage and which vault it is, not who wrote it. For messages, and for
 * files of the own data dir. E_INTEGRITY, E_FORMAT, E_NEWER_FORMAT.
 */
export function readVaultDescriptor(sodium: Sodium, bytes: Uint8Array): VaultDescriptor {
  const { map, covered, trailer } = decodeStructure(FORMAT, bytes);
  const adminPublicKey = new CborFields(map, WHAT).bytes(5, 'admin public key', 32);
  verifySignature(sodium, covered, trailer, adminPublicKey);
  return decodeVaultDescriptor(map);
}

function decodeVaultDescriptor(map: CborMap): VaultDescriptor {
  const fields = new CborFields(map, WHAT);
  const formatVersion = fields.uint(1, 'format version', 0xffff);
  if (formatVersion > VAULT_FORMAT_VERSION) throw newerFormatError('the vault', `format ${formatVersion}`);
  const criticalFeatures = fields.array(2, 'critical features', FEATURES_MAX, textUpTo(FEATURE_NAME_LENGTH_MAX));
  refuseUnknownFeatures('the vault', criticalFeatures);
  const epoch = fields.uint(7, 'epoch', Number.MAX_SAFE_INTEGER);
  const previous = fields.isNull(8) ? undefined : fields.bytes(8, 'previous descriptor', 32);
  if (epoch < FIRST_EPOCH || (epoch === FIRST_EPOCH) !== (previous === undefined))
    throw formatError(WHAT, `its epoch ${epoch} does not fit what it says of the one before`);
  return {
    vaultId: toHex(fields.bytes(0, 'vault id', 16)),
    formatVersion,
    criticalFeatures,
    chunker: readChunker(fields.fields(3, 'chunker')),
    keyTable: readKeyTable(fields),
    adminPublicKey: fields.bytes(5, 'admin public key', 32),
    proofPublicKey: fields.bytes(6, 'recovery proof public key', 32),
    epoch,
    previous,
    ...unknownOf(map, KNOWN_KEYS),
  };
}

function verifyMac(sodium: Sodium, covered: Uint8Array, trailer: Uint8Array, macKey: Uint8Array): void {
  if (!sodium.memcmp(macOf(sodium, covered, macKey), trailer.subarray(0, MAC_BYTES))) {
    throw new EdgeError('E_INTEGRITY', 'the vault descriptor is damaged or of another vault: its MAC does not verify', {
      hint: 'Bring the file back from a copy of the data dir, or take it from another agent or the bucket.',
    });
  }
}

function verifySignature(sodium: Sodium, covered: Uint8Array, trailer: Uint8Array, adminPublicKey: Uint8Array): void {
  const signed = Buffer.concat([covered, trailer.subarray(0, MAC_BYTES)]);
  if (!verifyInDomain(sodium, DOMAIN, signed, trailer.subarray(MAC_BYTES), adminPublicKey)) {
    throw new EdgeError(
      'E_INTEGRITY',
      'the vault descriptor is damaged or of another vault: its signature does not verify',
      {
        hint: 'Bring the file back from a copy of the data dir, or take it from another agent or the bucket.',
      },
    );
  }
}

function macOf(sodium: Sodium, covered: Uint8Array, macKey: Uint8Array): Uint8Array {
  return sodium.crypto_generichash(MAC_BYTES, covered, macKey);
}

function readChunker(fields: CborFields): ChunkerSettings {
  const name = fields.text(0, 'name', 64);
  if (name !== 'fastcdc-1') throw newerFormatError('the vault', `chunker ${JSON.stringify(name)}`);
  const min = fields.uint(1, 'minimum', CHUNK_PLAIN_BYTES_MAX);
  const avg = fields.uint(2, 'average', CHUNK_PLAIN_BYTES_MAX);
  const max = fields.uint(3, 'maximum', CHUNK_PLAIN_BYTES_MAX);
  const problem = problemOfChunkerParams({ min, avg, max });
  if (problem !== undefined) throw formatError(WHAT, problem);
  return { name, min, avg, max };
}

function encodeRow(row: KeyTableRow): Map<number, unknown> {
  return new Map<number, unknown>([[0, row.keyId], [1, row.createdNs], [2, row.wrapped], ...(row.unknownFields ?? [])]);
}

function readKeyTable(fields: CborFields): KeyTableRow[] {
  const rows = fields.array(4, 'key table', KEY_GENERATIONS_MAX, (value) => {
    const map = asCborMap(value);
    if (map === undefined) return undefined;
    const row = new CborFields(map, `${WHAT}, key table`);
    return {
      keyId: row.uint(0, 'key id', 0xffff_ffff),
      createdNs: row.bigUint(1, 'creation time'),
      wrapped: row.bytes(2, 'wrapped secret', WRAPPED_SECRET_BYTES),
      ...unknownOf(map, KNOWN_ROW_KEYS),
    };
  });
  const ascending = rows.every((row, index) => row.keyId > (rows[index - 1]?.keyId ?? 0));
  if (rows.length === 0 || !ascending) throw formatError(WHAT, 'its key table is empty or not in ascending order');
  return rows;
}

function unknownOf(map: CborMap, knownKeys: number): { unknownFields?: CborMap } {
  const unknownFields = new Map([...map].filter(([key]) => key < 0 || key >= knownKeys));
  return unknownFields.size === 0 ? {} : { unknownFields };
}
