/** Bodies of the peer protocol that are no streams (`docs/formats/peer-protocol.md`). All little-endian, lengths checked first. */
import {
  ByteReader,
  ByteWriter,
  formatError,
  SHARED_SLOTS_MAX,
  SLOT_BYTES,
  type VerifiedBytes,
} from '@edgestore/engine';
import { encodeIds, IDS_MAX, readIds } from './id-list.ts';

export const SLOTS_MAX = SHARED_SLOTS_MAX;
const SLOT_BYTES_MAX = SLOT_BYTES;
export const SLOTS_BYTES_MAX = 4 + SLOTS_MAX * (4 + SLOT_BYTES_MAX);

/** For each id u32 sealed length (0: not here) ‖ u32 key id */
export function encodeLocations(
  found: readonly ({ readonly sealedBytes: number; readonly keyId: number } | undefined)[],
): Uint8Array {
  const writer = new ByteWriter();
  for (const one of found) writer.u32(one?.sealedBytes ?? 0).u32(one?.keyId ?? 0);
  return writer.finish();
}

export function decodeLocations(
  bytes: Uint8Array,
  count: number,
): ({ sealedBytes: number; keyId: number } | undefined)[] {
  const reader = new ByteReader(bytes, 'locations');
  const out: ({ sealedBytes: number; keyId: number } | undefined)[] = [];
  for (let i = 0; i < count; i++) {
    const sealedBytes = reader.u32();
    const keyId = reader.u32();
    out.push(sealedBytes === 0 ? undefined : { sealedBytes, keyId });
  }
  reader.end();
  return out;
}

const VERIFIED_BYTES: readonly VerifiedBytes[] = ['sealed', 'plain'];

/** nonce 32 ‖ u8 (0: over the sealed bytes, 1: over the plaintext) ‖ id list */
export function encodeVerifyRequest(nonce: Uint8Array, of: VerifiedBytes, ids: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat([nonce, Uint8Array.of(VERIFIED_BYTES.indexOf(of)), encodeIds(ids)]);
}

export function decodeVerifyRequest(bytes: Uint8Array): { nonce: Uint8Array; of: VerifiedBytes; ids: Uint8Array[] } {
  const reader = new ByteReader(bytes, 'verify request');
  const nonce = reader.bytes(32);
  const what = reader.u8();
  const of = VERIFIED_BYTES[what];
  if (of === undefined) throw formatError('verify request', `bytes of kind ${what}`);
  const ids = readIds(reader);
  reader.end();
  return { nonce, of, ids };
}

/** For each id u8 (1: re-read, 0: absent or damaged) ‖ 32 bytes */
export function encodeVerifyReply(hashes: readonly (Uint8Array | undefined)[]): Uint8Array {
  const writer = new ByteWriter();
  for (const hash of hashes) writer.u8(hash === undefined ? 0 : 1).bytes(hash ?? new Uint8Array(32));
  return writer.finish();
}

export function decodeVerifyReply(bytes: Uint8Array, count: number): (Uint8Array | undefined)[] {
  if (count > IDS_MAX) throw formatError('verify reply', 'too many answers');
  const reader = new ByteReader(bytes, 'verify reply');
  const out: (Uint8Array | undefined)[] = [];
  for (let i = 0; i < count; i++) {
    const isThere = reader.u8() === 1;
    const hash = reader.bytes(32);
    out.push(isThere ? hash : undefined);
  }
  reader.end();
  return out;
}

/** Byte strings with a u32 length each; used for entries, lists, slots and cards. */
export function encodeParts(parts: readonly Uint8Array[]): Uint8Array {
  const writer = new ByteWriter().u32(parts.length);
  for (const part of parts) writer.u32(part.length).bytes(part);
  return writer.finish();
}

export function decodeParts(bytes: Uint8Array, what: string, partBytesMax: number): Uint8Array[] {
  const reader = new ByteReader(bytes, what);
  const count = reader.u32();
  if (count > reader.remaining / 4) throw formatError(what, `${count} parts in ${reader.remaining} bytes`);
  const out: Uint8Array[] = [];
  for (let i = 0; i < count; i++) {
    const length = reader.u32();
    if (length > partBytesMax) throw formatError(what, `a part of ${length} bytes`);
    out.push(reader.bytes(length));
  }
  reader.end();
  return out;
}

export function decodeSlots(bytes: Uint8Array): Uint8Array[] {
  const slots = decodeParts(bytes, 'slots', SLOT_BYTES_MAX);
  if (slots.length > SLOTS_MAX) throw formatError('slots', `${slots.length} slots`);
  return slots;
}
