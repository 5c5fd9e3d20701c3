/**
 * Small deterministic CBOR structures (RFC 8949 §4.2.1): maps with integer keys, and a reader that believes nothing. Trees and
 * record bodies, which are large, have their own code.
 */
import { decode, encode, rfc8949EncodeOptions } from 'cborg';
import { bytesEqual } from '../core/bytes.ts';
import { formatError } from '../core/errors.ts';

/** Deeper than any structure of ours; the decoder below recurses, so this bounds its stack. */
const DEPTH_MAX = 16;

export type CborMap = ReadonlyMap<number, unknown>;

/** Encodes with sorted keys and shortest forms. Keys whose value is undefined are left out. */
export function encodeCborMap(fields: CborMap): Uint8Array {
  const present = new Map<number, unknown>();
  for (const [key, value] of fields) if (value !== undefined) present.set(key, value);
  return encode(present, rfc8949EncodeOptions);
}

/**
 * Decodes one map with integer keys; E_FORMAT unless the bytes are exactly what `encodeCborMap` would write for it. The caller has
 * bounded the length.
 *
 * @param what names the structure in messages
 */
export function decodeCborMap(bytes: Uint8Array, what: string): CborMap {
  checkDepth(bytes, what);
  let value: unknown;
  let again: Uint8Array;
  try {
    value = decode(bytes, {
      useMaps: true,
      strict: true,
      rejectDuplicateMapKeys: true,
      allowIndefinite: false,
      allowUndefined: false,
      allowInfinity: false,
      allowNaN: false,
    });
    again = encode(value, rfc8949EncodeOptions);
  } catch (cause) {
    throw formatError(what, `its CBOR does not decode (${cause instanceof Error ? cause.message : String(cause)})`);
  }
  if (!bytesEqual(again, bytes)) throw formatError(what, 'its CBOR is not in deterministic form');
  if (!(value instanceof Map)) throw formatError(what, 'it is no CBOR map');
  for (const key of value.keys()) {
    if (typeof key !== 'number' || !Number.isInteger(key)) throw formatError(what, 'a key is no integer');
  }
  return value as CborMap;
}

/** Walks the items without building anything: lengths lie within the bytes, and nothing nests too deep. */
function checkDepth(bytes: Uint8Array, what: string): void {
  /** Items still to come at each open level. */
  const open: number[] = [1];
  let at = 0;
  while (open.length > 0) {
    const left = open[open.length - 1]!;
    if (left === 0) {
      open.pop();
      continue;
    }
    open[open.length - 1] = left - 1;
    if (at >= bytes.length) throw formatError(what, 'its CBOR ends early');
    const major = bytes[at]! >> 5;
    const info = bytes[at]! & 31;
    at += 1;
    const argumentBytes = info < 24 ? 0 : info <= 27 ? 2 ** (info - 24) : -1;
    if (argumentBytes < 0) throw formatError(what, 'its CBOR has an item of indefinite or reserved length');
    if (at + argumentBytes > bytes.length) throw formatError(what, 'its CBOR ends early');
    let argument = info < 24 ? info : 0;
    for (let index = 0; index < argumentBytes; index++) argument = argument * 256 + bytes[at + index]!;
    at += argumentBytes;
    if (major === 2 || major === 3) {
      if (argument > bytes.length - at) throw formatError(what, 'its CBOR ends early');
      at += argument;
    } else if (major === 4 || major === 5) {
      if (argument > bytes.length - at) throw formatError(what, 'its CBOR ends early');
      if (open.length >= DEPTH_MAX) throw formatError(what, `its CBOR nests deeper than ${DEPTH_MAX}`);
      open.push(major === 4 ? argument : argument * 2);
    } else if (major === 6) {
      throw formatError(what, 'its CBOR has a tag');
    }
  }
  if (at !== bytes.length) throw formatError(what, `${bytes.length - at} bytes too many after its CBOR`);
}

/** Takes typed fields out of a decoded map; each miss is an E_FORMAT that names structure and field. */
export class CborFields {
  readonly #map: CborMap;
  readonly #what: string;

  constructor(map: CborMap, what: string) {
    this.#map = map;
    this.#what = what;
  }

  uint(key: number, name: string, max: number): number {
    const value = this.#map.get(key);
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > max) throw this.#wrong(name);
    return value;
  }

  /** An unsigned integer of up to 64 bits. */
  bigUint(key: number, name: string): bigint {
    const value = this.#map.get(key);
    if (typeof value === 'bigint' && value >= 0n && value < 1n << 64n) return value;
    if (typeof value === 'number' && Number.isInteger(value) && value >= 0) return BigInt(value);
    throw this.#wrong(name);
  }

  bytes(key: number, name: string, length: number): Uint8Array {
    const value = this.#map.get(key);
    if (!(value instanceof Uint8Array) || value.length !== length) throw this.#wrong(name);
    return new Uint8Array(value);
  }

  text(key: number, name: string, lengthMax: number): string {
    const value = this.#map.get(key);
    if (typeof value !== 'string' || value.length > lengthMax) throw this.#wrong(name);
    return value;
  }

  /** An array of at most `itemsMax` items, each checked by `item`. */
  array<Item>(key: number, name: string, itemsMax: number, item: (value: unknown) => Item | undefined): Item[] {
    const value = this.#map.get(key);
    if (!Array.isArray(value) || value.length > itemsMax) throw this.#wrong(name);
    return value.map((each) => {
      const checked = item(each);
      if (checked === undefined) throw this.#wrong(name);
      return checked;
    });
  }

  /** A map with integer keys inside this one. */
  fields(key: number, name: string): CborFields {
    const inner = asCborMap(this.#map.get(key));
    if (inner === undefined) throw this.#wrong(name);
    return new CborFields(inner, `${this.#what}, ${name}`);
  }

  isNull(key: number): boolean {
    return this.#map.get(key) === null;
  }

  #wrong(name: string): Error {
    return formatError(this.#what, `its ${name} is missing or has the wrong form`);
  }
}

/** The value when it is a map; keys of inner maps are looked up by integer, others are simply not found. */
export function asCborMap(value: unknown): CborMap | undefined {
  return value instanceof Map ? (value as CborMap) : undefined;
}

/** A text of at most so many UTF-16 units, or undefined: an item check for `CborFields.array`. */
export function textUpTo(lengthMax: number): (value: unknown) => string | undefined {
  return (value) => (typeof value === 'string' && value.length <= lengthMax ? value : undefined);
}
