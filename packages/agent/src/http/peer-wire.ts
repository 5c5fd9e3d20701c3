/** Bodies of the peer protocol that are no streams (`docs/formats/peer-protocol.md`). All little-endian, lengths checked first. */
import {
  ByteReader,
  ByteWriter,
  formatError,
  fromHex,
  type Head,
  HOLD_BATCH_ENTRIES_MAX,
  type HoldReply,
  type PeerState,
  RECORD_BYTES_MAX,
  SHARED_SLOTS_MAX,
  SLOT_BYTES,
  toHex,
  type VerifiedBytes,
} from '@edgestore/engine';
import { encodeIds, IDS_MAX, readIds } from './id-list.ts';

export const RECEIPT_BYTES_MAX = 64 * 1024;
/** A hold batch: header, entries, signature. */
export const HOLD_BATCH_BYTES_MAX = 1024 + HOLD_BATCH_ENTRIES_MAX * 80;
/** Records in one request or answer, in bytes; a longer log takes several. */
export const RECORDS_BYTES_MAX = RECORD_BYTES_MAX + 4 * 1024 * 1024;
export const STATE_BYTES_MAX = 4 * 1024 * 1024;
const SLOTS_MAX = SHARED_SLOTS_MAX;
const SLOT_BYTES_MAX = SLOT_BYTES;
export const SLOTS_BYTES_MAX = 4 + SLOTS_MAX * (4 + SLOT_BYTES_MAX);

/** u32 count of missing ‖ u32 each ‖ u32 length of the receipt (0: none) ‖ receipt */
export function encodeHoldReply(reply: HoldReply): Uint8Array {
  const writer = new ByteWriter().u32(reply.missing.length);
  for (const position of reply.missing) writer.u32(position);
  return writer
    .u32(reply.receipt?.length ?? 0)
    .bytes(reply.receipt ?? new Uint8Array(0))
    .finish();
}

export function decodeHoldReply(bytes: Uint8Array): HoldReply {
  const reader = new ByteReader(bytes, 'hold reply');
  const count = reader.u32();
  if (count > HOLD_BATCH_ENTRIES_MAX) throw formatError('hold reply', `${count} missing chunks`);
  const missing: number[] = [];
  for (let i = 0; i < count; i++) {
    const position = reader.u32();
    if (position <= (missing.at(-1) ?? -1) || position >= HOLD_BATCH_ENTRIES_MAX)
      throw formatError('hold reply', 'positions are not ascending');
    missing.push(position);
  }
  const length = reader.u32();
  if (length > RECEIPT_BYTES_MAX) throw formatError('hold reply', `a receipt of ${length} bytes`);
  const receipt = length === 0 ? undefined : reader.bytes(length);
  reader.end();
  return { missing, receipt };
}

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

/** Byte strings with a u32 length each; used for records, slots and cards. */
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

/** agent 16 ‖ head */
export function writeHead(writer: ByteWriter, agent: string, head: Head): void {
  writer.bytes(fromHex(agent, 16)).u32(head.incarnation).u64(head.seq).bytes(fromHex(head.hash, 32));
}

export function readHead(reader: ByteReader): { agent: string; head: Head } {
  const agent = toHex(reader.bytes(16));
  return { agent, head: { incarnation: reader.u32(), seq: reader.u64(), hash: toHex(reader.bytes(32)) } };
}

/** u64 last operation ‖ u32 heads ‖ heads ‖ u32 slots ‖ 16-byte slot ids */
export function encodeState(state: PeerState): Uint8Array {
  const writer = new ByteWriter().u64(state.lastOp).u32(state.heads.length);
  for (const { agent, head } of state.heads) writeHead(writer, agent, head);
  writer.u32(state.slots.length);
  for (const slot of state.slots) writer.bytes(fromHex(slot, 16));
  return writer.finish();
}

export function decodeState(bytes: Uint8Array): PeerState {
  const reader = new ByteReader(bytes, 'peer state');
  const lastOp = reader.u64();
  const headCount = reader.u32();
  if (headCount > reader.remaining / 60) throw formatError('peer state', `${headCount} heads`);
  const heads: { agent: string; head: Head }[] = [];
  for (let i = 0; i < headCount; i++) heads.push(readHead(reader));
  const slotCount = reader.u32();
  if (slotCount > SLOTS_MAX) throw formatError('peer state', `${slotCount} slots`);
  const slots: string[] = [];
  for (let i = 0; i < slotCount; i++) slots.push(toHex(reader.bytes(16)));
  reader.end();
  return { lastOp, heads, slots };
}
