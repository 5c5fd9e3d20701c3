/**
 * Hold checkpoints (kind 5): 256 digests of the parts that list all held forms of a shard, by the first byte of their ids. Byte by byte in
 * `docs/formats/hold-checkpoint.md`. A checkpoint changes no state, so a store that has the bodies makes the parts itself and compares.
 */
import { createHash } from 'node:crypto';
import { asBuffer } from '../core/bytes.ts';
import { EdgeError, formatError } from '../core/errors.ts';
import { type ChunkId, type HexId, toHex } from '../core/ids.ts';
import { EntryKind, SEQ_LIMIT } from './entry-head.ts';
import {
  decodeAdd,
  decodeRelease,
  FORM_BYTES,
  type Form,
  type HeldForm,
  isDelta,
  KEY_BYTES,
  KEY_FORMS_MAX,
  LISTED_FORMS_MAX,
  readForm,
  writeForm,
} from './forms.ts';
import { ChangingHolds, type HeldId, type ShardHolds } from './hold-state.ts';
import type { WholeEntry } from './record-entry.ts';

export const PARTS = 256;
/** As-of seq, and for each part its rows and digest. */
export const HOLD_CHECKPOINT_BYTES = 8 + PARTS * 36;
const WHAT = 'hold checkpoint';
const PART = 'part of a hold checkpoint';

export interface PartSummary {
  /** Forms in the part, 80 bytes each. */
  readonly rows: number;
  /** SHA-256 of the part's bytes. */
  readonly sha256: HexId;
}

export interface HoldCheckpoint {
  /** The parts list what is held after the entry with this seq. It lies before the checkpoint's own. */
  readonly asOfSeq: number;
  /** 256, by first byte. */
  readonly parts: readonly PartSummary[];
}

/** A change to the part of one byte, in the order of the chain. */
export type PartChange =
  | { readonly seq: number; readonly form: Form }
  | { readonly seq: number; readonly released: ChunkId };

export function encodeHoldCheckpoint({ asOfSeq, parts }: HoldCheckpoint): Uint8Array {
  if (parts.length !== PARTS) throw new EdgeError('E_FAILED', `a hold checkpoint of ${parts.length} parts`);
  const body = Buffer.alloc(HOLD_CHECKPOINT_BYTES);
  body.writeBigUInt64LE(BigInt(asOfSeq), 0);
  for (const [byte, { rows, sha256 }] of parts.entries()) {
    body.writeUInt32LE(rows, 8 + 36 * byte);
    body.set(Buffer.from(sha256, 'hex'), 12 + 36 * byte);
  }
  return body;
}

/** Reads the body of a checkpoint whose entry has the given seq. E_FORMAT. */
export function decodeHoldCheckpoint(body: Uint8Array, seq: number = SEQ_LIMIT): HoldCheckpoint {
  if (body.length !== HOLD_CHECKPOINT_BYTES) throw formatError(WHAT, `${body.length} bytes`);
  const view = asBuffer(body);
  const asOfSeq = view.readBigUInt64LE(0);
  if (asOfSeq >= BigInt(seq)) throw formatError(WHAT, `as of ${asOfSeq}, but written as ${seq}`);
  const parts = Array.from({ length: PARTS }, (_, byte) => ({
    rows: view.readUInt32LE(8 + 36 * byte),
    sha256: toHex(view.subarray(12 + 36 * byte, 44 + 36 * byte)),
  }));
  return { asOfSeq: Number(asOfSeq), parts };
}

export function summaryOf(part: Uint8Array): PartSummary {
  return { rows: part.length / FORM_BYTES, sha256: createHash('sha256').update(part).digest('hex') };
}

/** Fails with E_INTEGRITY unless the bytes are the part that the checkpoint names. Its rows are checked by `decodePart`. */
export function requirePart(checkpoint: HoldCheckpoint, byte: number, part: Uint8Array): void {
  const named = checkpoint.parts[byte]!;
  if (part.length !== named.rows * FORM_BYTES || summaryOf(part).sha256 !== named.sha256)
    throw new EdgeError(
      'E_INTEGRITY',
      `part ${byte} is not the one that the hold checkpoint as of ${checkpoint.asOfSeq} names`,
    );
}

/** The rows of a part, checked: sorted, of this byte, added at or before the as-of seq. E_FORMAT. */
export function decodePart(part: Uint8Array, byte: number, asOfSeq: number): HeldForm[] {
  if (part.length % FORM_BYTES !== 0) throw formatError(PART, `${part.length} bytes`);
  const rows = Array.from({ length: part.length / FORM_BYTES }, (_, i) => readForm(part, i * FORM_BYTES, PART));
  let before: HeldForm | undefined;
  let listed = new Set<HexId>();
  let ofKey = 0;
  for (const row of rows) {
    if (row.id[0] !== byte) throw formatError(PART, `an id that begins with ${row.id[0]} in part ${byte}`);
    if (row.addedSeq < 1 || row.addedSeq > asOfSeq)
      throw formatError(PART, `the added seq ${row.addedSeq} as of ${asOfSeq}`);
    const order = before === undefined ? -1 : asBuffer(before.id).compare(row.id);
    if (order > 0) throw formatError(PART, 'rows that are not sorted');
    ofKey = before !== undefined && isSameKey(before.id, row.id) ? ofKey + 1 : 1;
    if (ofKey > KEY_FORMS_MAX) throw formatError(PART, `${ofKey} forms of one key`);
    if (order < 0) listed = new Set();
    else if (row.addedSeq !== before!.addedSeq || isDelta(row) || listed.has(toHex(row.sealedSha256)))
      throw formatError(PART, 'forms of one id that cannot be listed together');
    listed.add(toHex(row.sealedSha256));
    if (listed.size > LISTED_FORMS_MAX) throw formatError(PART, `${listed.size} forms of one id`);
    before = row;
  }
  return rows;
}

function isSameKey(a: ChunkId, b: ChunkId): boolean {
  return asBuffer(a).compare(b, 0, KEY_BYTES, 0, KEY_BYTES) === 0;
}

/** What an add or a release changes in the part of one byte. */
export function changesOfByte({ head, body }: WholeEntry, byte: number): PartChange[] {
  const { kind, seq } = head.header;
  if (kind === EntryKind.add) {
    const forms = decodeAdd(body).filter(({ id }) => id[0] === byte);
    return forms.map((form) => ({ seq, form }));
  }
  if (kind !== EntryKind.release) return [];
  const ids = decodeRelease(body).filter((id) => id[0] === byte);
  return ids.map((released) => ({ seq, released }));
}

/**
 * The part of a byte after changes of that byte, in the order of the chain. Memory: both parts and the changes.
 *
 * @param previous the part as of an earlier seq; empty bytes at the beginning of a trail
 */
export function mergePart(previous: Uint8Array, changes: Iterable<PartChange>): Uint8Array {
  const ofKey = groupByKey(changes);
  const changed = [...ofKey.keys()].sort();
  let adds = 0;
  for (const list of ofKey.values()) for (const change of list) if ('form' in change) adds++;
  const out = Buffer.alloc(previous.length + adds * FORM_BYTES);
  const source = asBuffer(previous);
  let from = 0;
  let to = 0;
  for (const key of changed) {
    const start = rowsBefore(source, from, key);
    const end = rowsOf(source, start, key);
    to += source.copy(out, to, from, start);
    const holds = applyChanges(rowsAt(source, start, end), ofKey.get(key)!);
    for (const id of [...holds.keys()].sort()) to = writeRows(out, to, holds.get(id));
    from = end;
  }
  to += source.copy(out, to, from);
  return new Uint8Array(out.subarray(0, to));
}

/** The part of a byte as a state says it, for comparing. */
export function partOfHolds(holds: ShardHolds, byte: number): Uint8Array {
  const prefix = toHex(Uint8Array.of(byte));
  const ids = [...holds.keys()].filter((id) => id.startsWith(prefix)).sort();
  const rows = ids.reduce((sum, id) => sum + holds.get(id)!.forms.length, 0);
  const out = Buffer.alloc(rows * FORM_BYTES);
  let to = 0;
  for (const id of ids) to = writeRows(out, to, holds.get(id));
  return new Uint8Array(out);
}

/** By the first bytes of ids in hex: how many forms of one key are listed decides about the next one. */
function groupByKey(changes: Iterable<PartChange>): Map<string, PartChange[]> {
  const ofKey = new Map<string, PartChange[]>();
  for (const change of changes) {
    const id = 'form' in change ? change.form.id : change.released;
    const key = toHex(id.subarray(0, KEY_BYTES));
    const list = ofKey.get(key);
    if (list === undefined) ofKey.set(key, [change]);
    else list.push(change);
  }
  return ofKey;
}

function applyChanges(rows: Iterable<HeldForm>, changes: readonly PartChange[]): ReadonlyMap<HexId, HeldId> {
  const holds = new ChangingHolds();
  for (const row of rows) holds.list(row);
  for (const change of changes)
    if ('form' in change) holds.add(change.seq, change.form);
    else holds.release(change.released);
  return holds.byId;
}

function* rowsAt(source: Buffer, start: number, end: number): Generator<HeldForm> {
  for (let at = start; at < end; at += FORM_BYTES) yield readForm(source, at, PART);
}

function writeRows(out: Buffer, at: number, held: HeldId | undefined): number {
  if (held === undefined) return at;
  let to = at;
  for (const form of held.forms) {
    writeForm(out, to, form, held.addedSeq);
    to += FORM_BYTES;
  }
  return to;
}

/** The offset of the first row at or behind `from` whose key is not below. */
function rowsBefore(source: Buffer, from: number, key: string): number {
  const wanted = Buffer.from(key, 'hex');
  let low = from / FORM_BYTES;
  let high = source.length / FORM_BYTES;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const at = middle * FORM_BYTES;
    if (source.compare(wanted, 0, KEY_BYTES, at, at + KEY_BYTES) < 0) low = middle + 1;
    else high = middle;
  }
  return low * FORM_BYTES;
}

/** The offset behind the rows of this key that begin at `start`. */
function rowsOf(source: Buffer, start: number, key: string): number {
  const wanted = Buffer.from(key, 'hex');
  let end = start;
  while (end < source.length && source.compare(wanted, 0, KEY_BYTES, end, end + KEY_BYTES) === 0) end += FORM_BYTES;
  return end;
}
