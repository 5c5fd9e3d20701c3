/** The frame around the small clear structures of a vault: magic, version, length, CBOR, and what vouches for them. */

import { type CborMap, decodeCborMap, encodeCborMap } from '../codec/bounded-cbor.ts';
import { ByteReader, ByteWriter } from '../core/bytes.ts';
import { formatError, newerFormatError } from '../core/errors.ts';

export interface StructureFormat {
  /** For messages. */
  readonly what: string;
  /** 8 ASCII characters. */
  readonly magic: string;
  readonly version: number;
  /** Longest CBOR part: bounds what a decoder reads. */
  readonly cborBytesMax: number;
  /** Bytes that follow the CBOR: MAC, signature or checksum. */
  readonly trailerBytes: number;
}

const HEADER_BYTES = 8 + 2 + 4;

/** magic 8 ‖ version u16 ‖ CBOR length u32 ‖ CBOR: what MACs, signatures and checksums cover. */
export function encodeStructure(format: StructureFormat, fields: CborMap): Uint8Array {
  const cbor = encodeCborMap(fields);
  if (cbor.length > format.cborBytesMax)
    throw formatError(format.what, `it is larger than ${format.cborBytesMax} bytes`);
  return new ByteWriter()
    .bytes(Buffer.from(format.magic, 'latin1'))
    .u16(format.version)
    .u32(cbor.length)
    .bytes(cbor)
    .finish();
}

/** The CBOR map, the covered part and the trailer; E_FORMAT or E_NEWER_FORMAT. Checks nothing that needs a key. */
export function decodeStructure(
  format: StructureFormat,
  bytes: Uint8Array,
): { readonly map: CborMap; readonly covered: Uint8Array; readonly trailer: Uint8Array } {
  const split = splitStructure(format, bytes);
  return { ...split, map: decodeCborMap(split.covered.subarray(HEADER_BYTES), format.what) };
}

/** The same without looking into the CBOR. */
export function splitStructure(
  format: StructureFormat,
  bytes: Uint8Array,
): { readonly covered: Uint8Array; readonly trailer: Uint8Array } {
  const { covered, trailer, version } = splitUnchecked(format, bytes);
  checkVersion(format, version);
  return { covered, trailer };
}

/**
 * Decodes the CBOR only after `verify` has accepted covered part and trailer. The version counts only then too: a flipped bit in it is damage
 * (what `verify` throws), not a newer program. All versions keep magic, lengths and trailer where they are.
 *
 * @throws E_FORMAT for lengths that do not fit, what `verify` throws, E_NEWER_FORMAT
 */
export function openStructure(
  format: StructureFormat,
  bytes: Uint8Array,
  verify: (covered: Uint8Array, trailer: Uint8Array) => void,
): CborMap {
  const { covered, trailer, version } = splitUnchecked(format, bytes);
  verify(covered, trailer);
  checkVersion(format, version);
  return decodeCborMap(covered.subarray(HEADER_BYTES), format.what);
}

function splitUnchecked(
  format: StructureFormat,
  bytes: Uint8Array,
): { readonly covered: Uint8Array; readonly trailer: Uint8Array; readonly version: number } {
  const reader = new ByteReader(bytes, format.what);
  reader.magic(Buffer.from(format.magic, 'latin1'));
  const version = reader.u16();
  const length = reader.u32();
  if (length > format.cborBytesMax) throw formatError(format.what, `it states ${length} bytes`);
  reader.bytes(length);
  const trailer = reader.bytes(format.trailerBytes);
  reader.end();
  return { covered: bytes.subarray(0, HEADER_BYTES + length), trailer, version };
}

function checkVersion(format: StructureFormat, version: number): void {
  if (version > format.version) throw newerFormatError(format.what, `version ${version}`);
  if (version !== format.version) throw formatError(format.what, `version ${version} does not exist`);
}

/** E_NEWER_FORMAT when a structure names a critical feature that this program does not know (it knows none so far). */
export function refuseUnknownFeatures(what: string, critical: readonly string[]): void {
  if (critical.length > 0) throw newerFormatError(what, `feature ${JSON.stringify(critical[0])}`);
}

/** Bounds of the list of critical features in a structure. */
export const FEATURES_MAX = 32;
export const FEATURE_NAME_LENGTH_MAX = 64;
