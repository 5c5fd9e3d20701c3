/** One note of the file `marks` as bytes (`docs/formats/marks.md`). */
import { fromHex, toHex } from '../core/ids.ts';
import type { MarkNote } from '../core/ports/mark-notes.ts';
import type { MissReason } from '../core/ports/sealed-source.ts';

export const MARKS_MAGIC: Uint8Array = Buffer.from('EDGEMRK1', 'latin1');

const KINDS = { mark: 1, lift: 2, 'mark-pack': 3, 'lift-pack': 4, verified: 5, end: 6 } as const;
const REASONS: readonly (MissReason | undefined)[] = [undefined, 'damaged', 'absent', 'unreadable'];
/** Kind u8, reason u8, length of the store's name u16, time i64, pack 32. */
const HEAD_BYTES = 44;
const ID_BYTES = 32;

export function encodeMarkNote(note: MarkNote): Buffer {
  const store = Buffer.from(note.store, 'utf8');
  const rest = restOf(note);
  const out = Buffer.alloc(HEAD_BYTES);
  out.writeUInt8(KINDS[note.kind], 0);
  out.writeUInt8('reason' in note ? REASONS.indexOf(note.reason) : 0, 1);
  out.writeUInt16LE(store.length, 2);
  out.writeBigInt64LE(note.atNs, 4);
  out.set(fromHex(note.pack, ID_BYTES), 12);
  return Buffer.concat([out, store, rest]);
}

function restOf(note: MarkNote): Uint8Array {
  if (note.kind === 'mark' || note.kind === 'lift') return Buffer.concat(note.ids as Uint8Array[]);
  if (note.kind !== 'mark-pack') return new Uint8Array(0);
  const out = Buffer.alloc(12);
  out.writeUInt32LE(note.frames, 0);
  out.writeBigUInt64LE(BigInt(note.bytes), 4);
  return out;
}

/** Undefined for a kind that this program does not know; the body's check was right, so it is not damage. */
export function decodeMarkNote(body: Buffer): MarkNote | undefined {
  if (body.length < HEAD_BYTES) return undefined;
  const kind = body.readUInt8(0);
  const reason = REASONS[body.readUInt8(1)];
  const storeEnd = HEAD_BYTES + body.readUInt16LE(2);
  if (storeEnd > body.length) return undefined;
  const of = {
    store: body.toString('utf8', HEAD_BYTES, storeEnd),
    pack: toHex(body.subarray(12, HEAD_BYTES)),
    atNs: body.readBigInt64LE(4),
  };
  const rest = body.subarray(storeEnd);
  if (kind === KINDS.mark && reason !== undefined) return { kind: 'mark', ...of, reason, ids: idsOf(rest) };
  if (kind === KINDS.lift) return { kind: 'lift', ...of, ids: idsOf(rest) };
  if (kind === KINDS['mark-pack'] && reason !== undefined && rest.length === 12)
    return {
      kind: 'mark-pack',
      ...of,
      reason,
      frames: rest.readUInt32LE(0),
      bytes: Number(rest.readBigUInt64LE(4)),
    };
  if (kind === KINDS['lift-pack']) return { kind: 'lift-pack', ...of };
  if (kind === KINDS.verified) return { kind: 'verified', ...of };
  if (kind === KINDS.end) return { kind: 'end', ...of };
  return undefined;
}

function idsOf(bytes: Uint8Array): Uint8Array[] {
  const ids: Uint8Array[] = [];
  for (let at = 0; at + ID_BYTES <= bytes.length; at += ID_BYTES)
    ids.push(new Uint8Array(bytes.subarray(at, at + ID_BYTES)));
  return ids;
}
