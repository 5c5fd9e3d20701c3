/** What everyone has to know about a vault before opening anything of it (`vault.edge`). See docs/formats/vault.md. */

import { type ChunkerParams, problemOfChunkerParams } from '../chunking/params.ts';
import { asCborMap, CborFields, type CborMap, textUpTo } from '../codec/bounded-cbor.ts';
import type { Sodium } from '../codec/sodium.ts';
import { EdgeError, formatError, newerFormatError } from '../core/errors.ts';
import { fromHex, toHex, type VaultId } from '../core/ids.ts';
import { CHUNK_PLAIN_BYTES_MAX } from '../core/limits.ts';
import { SIGNATURE_BYTES, signInDomain, verifyInDomain } from './ed25519.ts';
import {
  decodeStructure,
  encodeStructure,
  FEATURE_NAME_LENGTH_MAX,
  FEATURES_MAX,
  refuseUnknownFeatures,
  type StructureFormat,
  splitStructure,
} from './signed-structure.ts';
import { deriveVaultKeys, KEY_GENERATIONS_MAX, type VaultKeys } from './vault-keys.ts';

/** How files are cut into chunks; fixed when the vault is made. Lengths in bytes. */
export interface ChunkerSettings extends ChunkerParams {
  readonly name: 'fastcdc-1';
}

export interface KeyTableRow {
  readonly keyId: number;
  readonly createdNs: bigint;
}

export interface VaultDescriptor {
  readonly vaultId: VaultId;
  readonly formatVersion: number;
  readonly criticalFeatures: readonly string[];
  readonly chunker: ChunkerSettings;
  /** Sealing key generations, ascending; the last is current. */
  readonly keyTable: readonly KeyTableRow[];
  readonly adminPublicKey: Uint8Array;
  /** Lets a store without the vault key check a recovering machine's proof. */
  readonly proofPublicKey: Uint8Array;
  /** Optional fields of newer programs, by key; written back as they were. */
  readonly unknownFields?: CborMap;
}

export const VAULT_FORMAT_VERSION = 1;

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
const KNOWN_KEYS = 7;

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
    [
      4,
      descriptor.keyTable.map(
        (row) =>
          new Map<number, unknown>([
            [0, row.keyId],
            [1, row.createdNs],
          ]),
      ),
    ],
    [5, descriptor.adminPublicKey],
    [6, descriptor.proofPublicKey],
  ]);
  for (const [key, value] of descriptor.unknownFields ?? []) fields.set(key, value);
  const covered = encodeStructure(FORMAT, fields);
  const mac = macOf(sodium, covered, secrets.macKey);
  const signed = Buffer.concat([covered, mac]);
  return Buffer.concat([signed, signInDomain(sodium, DOMAIN, signed, secrets.adminSeed)]);
}

/** Reads a descriptor without believing it: E_FORMAT, or E_NEWER_FORMAT. Verify it before acting on it. */
export function decodeVaultDescriptor(bytes: Uint8Array): VaultDescriptor {
  const { map } = decodeStructure(FORMAT, bytes);
  const fields = new CborFields(map, WHAT);
  const formatVersion = fields.uint(1, 'format version', 0xffff);
  if (formatVersion > VAULT_FORMAT_VERSION) throw newerFormatError('the vault', `format ${formatVersion}`);
  const criticalFeatures = fields.array(2, 'critical features', FEATURES_MAX, textUpTo(FEATURE_NAME_LENGTH_MAX));
  refuseUnknownFeatures('the vault', criticalFeatures);
  const unknownFields = new Map([...map].filter(([key]) => key < 0 || key >= KNOWN_KEYS));
  return {
    vaultId: toHex(fields.bytes(0, 'vault id', 16)),
    formatVersion,
    criticalFeatures,
    chunker: readChunker(fields.fields(3, 'chunker')),
    keyTable: readKeyTable(fields),
    adminPublicKey: fields.bytes(5, 'admin public key', 32),
    proofPublicKey: fields.bytes(6, 'recovery proof public key', 32),
    ...(unknownFields.size === 0 ? {} : { unknownFields }),
  };
}

/** E_INTEGRITY unless someone with the vault key wrote exactly this. */
export function verifyVaultMac(sodium: Sodium, bytes: Uint8Array, macKey: Uint8Array): void {
  const { covered, trailer } = splitStructure(FORMAT, bytes);
  if (!sodium.memcmp(macOf(sodium, covered, macKey), trailer.subarray(0, MAC_BYTES))) {
    throw new EdgeError('E_INTEGRITY', 'the vault descriptor is damaged or of another vault: its MAC does not verify', {
      hint: 'Take vault.edge from another store of the vault, or from the bucket.',
    });
  }
}

/** E_INTEGRITY unless the admin key signed exactly this; for those who have no vault key but know the admin's public key. */
export function verifyVaultSignature(sodium: Sodium, bytes: Uint8Array, adminPublicKey: Uint8Array): void {
  const { covered, trailer } = splitStructure(FORMAT, bytes);
  const signed = bytes.subarray(0, covered.length + MAC_BYTES);
  if (!verifyInDomain(sodium, DOMAIN, signed, trailer.subarray(MAC_BYTES), adminPublicKey)) {
    throw new EdgeError('E_INTEGRITY', 'the vault descriptor is damaged: its signature does not verify');
  }
}

/** Decodes, derives every key that the key table names, and verifies MAC and signature: the way from a vault key to a usable vault. */
export function openVaultDescriptor(
  sodium: Sodium,
  bytes: Uint8Array,
  vaultKey: Uint8Array,
): { readonly descriptor: VaultDescriptor; readonly keys: VaultKeys } {
  const descriptor = decodeVaultDescriptor(bytes);
  const keyIds = descriptor.keyTable.map((row) => row.keyId);
  const keys = deriveVaultKeys(sodium, descriptor.vaultId, vaultKey, keyIds);
  verifyVaultMac(sodium, bytes, keys.macKey);
  verifyVaultSignature(sodium, bytes, descriptor.adminPublicKey);
  return { descriptor, keys };
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

function readKeyTable(fields: CborFields): KeyTableRow[] {
  const rows = fields.array(4, 'key table', KEY_GENERATIONS_MAX, (value) => {
    const row = asCborMap(value);
    if (row === undefined) return undefined;
    const inner = new CborFields(row, `${WHAT}, key table`);
    return { keyId: inner.uint(0, 'key id', 0xffff_ffff), createdNs: inner.bigUint(1, 'creation time') };
  });
  const ascending = rows.every((row, index) => row.keyId > (rows[index - 1]?.keyId ?? 0));
  if (rows.length === 0 || !ascending) throw formatError(WHAT, 'its key table is empty or not in ascending order');
  return rows;
}
