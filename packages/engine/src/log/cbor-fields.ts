/** Pieces that several record bodies share: heads and hashes. */
import { fromHex, type RecordHash, toHex } from '../core/ids.ts';
import type { CborReader } from '../tree/cbor-reader.ts';
import type { CborWriter } from '../tree/cbor-writer.ts';
import type { Head } from './record-body.ts';

const HASH_BYTES = 32;

export function writeHash(writer: CborWriter, hash: RecordHash): void {
  writer.bytes(fromHex(hash, HASH_BYTES));
}

export function readHash(reader: CborReader): RecordHash {
  const hash = reader.bytes(HASH_BYTES);
  if (hash.length !== HASH_BYTES) throw reader.error('a hash has 32 bytes');
  return toHex(hash);
}

export function writeHead(writer: CborWriter, { incarnation, seq, hash }: Head): void {
  writer.array(3).int(incarnation).int(seq);
  writeHash(writer, hash);
}

export function readHead(reader: CborReader): Head {
  if (reader.array(3) !== 3) throw reader.error('a head is incarnation, seq and hash');
  return { incarnation: readIncarnation(reader), seq: reader.uint(), hash: readHash(reader) };
}

export function readIncarnation(reader: CborReader): number {
  return reader.uint(0xffff_ffff);
}
