/**
 * Identifiers. In formats and between layers they are byte strings; as map keys and in text they are lower-case hex.
 */
import { EdgeError } from './errors.ts';

/** 32 bytes: HMAC-SHA-256(id key, SHA-256(kind ‖ plaintext)). */
export type ChunkId = Uint8Array;
/** A chunk id (or other 32-byte id) as 64 hex digits: what maps are keyed by. */
export type HexId = string;
/** 32 lower-case hex digits (16 random bytes): one agent, for all its incarnations. */
export type AgentId = string;
/** 32 lower-case hex digits (16 random bytes): one vault. */
export type VaultId = string;
/** 64 hex digits: SHA-256(header ‖ index ‖ footer) of a pack. */
export type PackName = string;
/** 64 hex digits: SHA-256 of a whole record; a snapshot's id is its record's hash. */
export type RecordHash = string;

/** What a chunk's plaintext is. The value is the byte in the id and in the associated data. */
export const ChunkKind = { data: 1, tree: 2, list: 3 } as const;
export type ChunkKind = (typeof ChunkKind)[keyof typeof ChunkKind];

/** What stores see of the kind: file content, or trees and lists. A pack holds one class only. */
export type PackClass = 'data' | 'meta';

export function packClassOf(kind: ChunkKind): PackClass {
  return kind === ChunkKind.data ? 'data' : 'meta';
}

/** Lower-case hex of any bytes. */
export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}

/** Bytes of a hex string of exactly `length` bytes; E_USAGE otherwise. */
export function fromHex(hex: string, length: number): Uint8Array {
  if (hex.length !== length * 2 || !/^[0-9a-f]*$/i.test(hex)) {
    throw new EdgeError('E_USAGE', `not an id of ${length * 2} hex digits: ${JSON.stringify(hex.slice(0, 80))}`);
  }
  return new Uint8Array(Buffer.from(hex, 'hex'));
}
