/** The layout of a sealed chunk, shared by sealing and opening. Byte by byte in docs/formats/sealed-chunk.md. */
import type { ChunkId, ChunkKind, VaultId } from '../core/ids.ts';
import { fromHex } from '../core/ids.ts';
import { padme } from './padme.ts';
import { NONCE_BYTES, TAG_BYTES } from './xchacha20poly1305.ts';

export const SEALED_CHUNK_VERSION = 1;
/** Plain length u32, stored length u32, codec u8. */
export const SEALED_HEADER_BYTES = 9;
export const SEALED_OVERHEAD_BYTES = NONCE_BYTES + TAG_BYTES;

/** How the stored bytes stand for the plaintext. */
export const Codec = { raw: 0, zstd: 1 } as const;
export type Codec = (typeof Codec)[keyof typeof Codec];

const AD_KIND_AT = 21;
const AD_ID_AT = 22;

/** The sealed length of so many stored bytes. */
export function sealedBytesOf(storedBytes: number): number {
  return SEALED_OVERHEAD_BYTES + padme(SEALED_HEADER_BYTES + storedBytes);
}

/** No plaintext of this length seals to more bytes: what does not shrink is stored raw. */
export function sealedBytesMax(plainBytes: number): number {
  return sealedBytesOf(plainBytes);
}

/** Fills in the associated data of chunk after chunk; the returned memory is used again by the next call. */
export type AssociatedData = (kind: ChunkKind, id: ChunkId) => Uint8Array;

export function createAssociatedData(vaultId: VaultId, keyId: number): AssociatedData {
  const bytes = Buffer.alloc(AD_ID_AT + 32);
  bytes.writeUInt8(SEALED_CHUNK_VERSION, 0);
  bytes.set(fromHex(vaultId, 16), 1);
  bytes.writeUInt32LE(keyId, 17);
  return (kind, id) => {
    bytes[AD_KIND_AT] = kind;
    bytes.set(id, AD_ID_AT);
    return bytes;
  };
}
