/**
 * How maps of integer keys grow. A later version may add keys above the known ones: optional, so a reader keeps them as they are and writes
 * them back. A negative key that is unknown is critical: what it says must be understood.
 */
import { newerFormatError } from '../core/errors.ts';
import type { CborReader } from './cbor-reader.ts';
import type { CborWriter } from './cbor-writer.ts';

/** A field of a later version: its key, above all known ones, and its value as encoded CBOR. */
export interface UnknownField {
  readonly key: number;
  readonly value: Uint8Array;
}

/** Reads the next key of a map: above the last one, as deterministic CBOR wants. E_NEWER_FORMAT for a negative, critical one. */
export function readKey(reader: CborReader, last: number, what: string): number {
  const key = reader.int();
  if (key < 0) throw newerFormatError(what, `critical field ${key}`);
  if (key <= last) throw reader.error('map keys are not in order');
  return key;
}

/** Writes unknown fields back, behind all known ones. */
export function writeUnknownFields(writer: CborWriter, unknown: readonly UnknownField[] | undefined): void {
  if (unknown === undefined) return;
  for (const { key, value } of unknown) writer.int(key).raw(value);
}
