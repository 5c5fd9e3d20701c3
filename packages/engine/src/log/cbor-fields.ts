/** Pieces that several record bodies share: hashes and incarnations. */
import { fromHex, type RecordHash, toHex } from '../core/ids.ts';
import type { CborReader } from '../tree/cbor-reader.ts';
import type { CborWriter } from '../tree/cbor-writer.ts';

const HASH_BYTES = 32;

export function writeHash(writer: CborWriter, hash: RecordHash): void {
  writer.bytes(fromHex(hash, HASH_BYTES));
}

export function readHash(reader: CborReader): RecordHash {
  const hash = reader.bytes(HASH_BYTES);
  if (hash.length !== HASH_BYTES) throw reader.error('a hash has 32 bytes');
  return toHex(hash);
}

export function readIncarnation(reader: CborReader): number {
  return reader.uint(0xffff_ffff);
}
