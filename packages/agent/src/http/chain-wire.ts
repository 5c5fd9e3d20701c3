/** Bodies of the peer protocol that carry chains and statements (`docs/formats/peer-protocol.md`). All little-endian, lengths checked first. */
import {
  type Branch,
  ByteReader,
  ByteWriter,
  type ChainEntry,
  decodeHead,
  EdgeError,
  ENTRY_BODY_BYTES_MAX,
  type EntryBody,
  FORM_BYTES,
  FORMS_MAX,
  type Form,
  type FormsOfEntry,
  formatError,
  fromHex,
  HEAD_BYTES,
  PARTS,
  type PeerState,
  type Position,
  readForm,
  type StatementAnswer,
  toHex,
  type WantedParts,
  writeForm,
} from '@edgestore/engine';
import { decodeParts, encodeParts, SLOTS_MAX } from './peer-wire.ts';

/** Bytes of one page of entries, bodies or lists before the next page begins; a single larger entry is a page of its own. */
export const PAGE_BYTES = 4 * 1024 * 1024;
export const ENTRIES_BYTES_MAX = ENTRY_BODY_BYTES_MAX + HEAD_BYTES + PAGE_BYTES;
/** A statement of 1,024 shards with tips and backing. */
export const STATEMENT_BYTES_MAX = 1024 * 1024;
/** 65,536 ids of 33 bytes, with a header. */
const LIST_BYTES_MAX = 4 * 1024 * 1024;
const SHARDS_MAX = 1024;
export const QUESTION_BYTES_MAX = 32 + 1 + 4 + STATEMENT_BYTES_MAX;
/** Lists are for the owner: all of its shards together rarely come near this. */
export const ANSWER_BYTES_MAX = 64 * 1024 * 1024;
/** Seqs in one answer about bodies that are missing. */
export const SEQS_MAX = 4096;
export const SEQS_BYTES_MAX = 4 + SEQS_MAX * 8;
const BITMAP_BYTES_MAX = FORMS_MAX / 8;
/** Entries in one page of wanted forms. */
export const WANTED_ENTRIES_MAX = 256;
/** Forms that one page names: all forms of the entries that a holder looks at for one. */
const NAMED_FORMS_MAX = 16 * FORMS_MAX;
export const WANTED_BYTES_MAX = 8 + WANTED_ENTRIES_MAX * (8 + 2 + BITMAP_BYTES_MAX) + NAMED_FORMS_MAX * FORM_BYTES;
/** Seq, seq and verdict, bitmap of 256 parts. */
export const WANTED_PARTS_BYTES = 8 + 8 + 1 + PARTS / 8;
export const POSITION_BYTES = 44;
export const STATE_BYTES_MAX = 4 * 1024 * 1024;

/** parts: head 203 ‖ body, or the head alone where the body is not sent */
export function encodeEntries(entries: readonly ChainEntry[]): Uint8Array {
  return encodeParts(
    entries.map(({ head, body }) => (body === undefined ? head.bytes : Buffer.concat([head.bytes, body]))),
  );
}

/** Structure only: signatures and digests are verified by whoever takes the entries. */
export function decodeEntries(bytes: Uint8Array): ChainEntry[] {
  return decodeParts(bytes, 'entries', HEAD_BYTES + ENTRY_BODY_BYTES_MAX).map((part) => {
    const head = decodeHead(part.subarray(0, HEAD_BYTES));
    const body = part.length > HEAD_BYTES ? part.subarray(HEAD_BYTES) : undefined;
    if (body !== undefined && body.length !== head.header.bodyBytes)
      throw formatError('entries', `a body of ${body.length} bytes where the header names ${head.header.bodyBytes}`);
    return { head, body };
  });
}

/** Pages of items by their bytes. */
export function* pagesOf<Item>(items: Iterable<Item>, bytesOf: (item: Item) => number): Generator<Item[]> {
  let page: Item[] = [];
  let bytes = 0;
  for (const item of items) {
    const size = bytesOf(item) + 4;
    if (page.length > 0 && bytes + size > PAGE_BYTES) {
      yield page;
      page = [];
      bytes = 0;
    }
    page.push(item);
    bytes += size;
  }
  if (page.length > 0) yield page;
}

/** parts: u64 seq ‖ body */
export function encodeBodies(bodies: readonly EntryBody[]): Uint8Array {
  return encodeParts(bodies.map(({ seq, body }) => Buffer.concat([new ByteWriter().u64(seq).finish(), body])));
}

export function decodeBodies(bytes: Uint8Array): EntryBody[] {
  return decodeParts(bytes, 'bodies', 8 + ENTRY_BODY_BYTES_MAX).map((part) => {
    const reader = new ByteReader(part, 'bodies');
    return { seq: reader.u64(), body: reader.bytes(reader.remaining) };
  });
}

/** u32 count ‖ u64 each */
export function encodeSeqs(seqs: readonly number[]): Uint8Array {
  const writer = new ByteWriter().u32(seqs.length);
  for (const seq of seqs) writer.u64(seq);
  return writer.finish();
}

export function decodeSeqs(bytes: Uint8Array): number[] {
  const reader = new ByteReader(bytes, 'seqs');
  const count = reader.u32();
  if (count > SEQS_MAX) throw formatError('seqs', `${count} of them`);
  const seqs: number[] = [];
  for (let i = 0; i < count; i++) {
    const seq = reader.u64();
    if (seq <= (seqs.at(-1) ?? 0)) throw formatError('seqs', 'they are not ascending');
    seqs.push(seq);
  }
  reader.end();
  return seqs;
}

/**
 * u32 count, then for each entry u64 seq ‖ u16 bytes of the bitmap ‖ bitmap: bit i of byte b stands for position 8b + i. Then u32 count, and forms with
 * their added seqs, 80 bytes each, of a holder that has parts of a checkpoint in the place of bodies: they stand before the entries.
 */
export function encodeWanted(wanted: readonly FormsOfEntry[]): Uint8Array {
  const named = wanted.flatMap(({ seq, forms = [] }) => forms.map((form) => ({ seq, form })));
  const placed = wanted.filter(({ forms }) => forms === undefined);
  if (named.length > NAMED_FORMS_MAX) throw new EdgeError('E_LIMIT', `${named.length} wanted forms in one page`);
  const writer = new ByteWriter().u32(placed.length);
  for (const { seq, positions } of placed) {
    const bitmap = new Uint8Array(((positions.at(-1) ?? 0) >> 3) + 1);
    for (const position of positions) bitmap[position >> 3]! |= 1 << (position & 7);
    writer.u64(seq).u16(bitmap.length).bytes(bitmap);
  }
  const rows = Buffer.alloc(named.length * FORM_BYTES);
  for (const [i, { seq, form }] of named.entries()) writeForm(rows, i * FORM_BYTES, form, seq);
  writer.u32(named.length).bytes(rows);
  return writer.finish();
}

export function decodeWanted(bytes: Uint8Array): FormsOfEntry[] {
  const reader = new ByteReader(bytes, 'wanted forms');
  const count = reader.u32();
  if (count > WANTED_ENTRIES_MAX) throw formatError('wanted forms', `${count} entries`);
  const out: FormsOfEntry[] = [];
  for (let i = 0; i < count; i++) {
    const seq = reader.u64();
    if (seq <= (out.at(-1)?.seq ?? 0)) throw formatError('wanted forms', 'entries are not ascending');
    const length = reader.u16();
    if (length > BITMAP_BYTES_MAX) throw formatError('wanted forms', `a bitmap of ${length} bytes`);
    const positions: number[] = [];
    for (const [b, byte] of reader.bytes(length).entries())
      for (let bit = 0; bit < 8; bit++) if ((byte & (1 << bit)) !== 0) positions.push(8 * b + bit);
    out.push({ seq, positions });
  }
  const named = reader.u32();
  if (named > NAMED_FORMS_MAX) throw formatError('wanted forms', `${named} forms`);
  const byEntry: { seq: number; positions: number[]; forms: Form[] }[] = [];
  for (let i = 0; i < named; i++) {
    const { addedSeq: seq, ...form } = readForm(reader.bytes(FORM_BYTES), 0, 'wanted forms');
    const last = byEntry.at(-1);
    if (seq < (last?.seq ?? 1) || (out[0] !== undefined && seq >= out[0].seq))
      throw formatError('wanted forms', 'forms are not ascending');
    if (last?.seq === seq) last.forms.push(form);
    else byEntry.push({ seq, positions: [], forms: [form] });
  }
  reader.end();
  return [...byEntry, ...out];
}

const VERDICTS = [undefined, 'proved', 'false', 'taken'] as const;

/** u64 seq of the checkpoint whose parts are taken, or 0 ‖ u64 seq of the newest one that was looked at, or 0 ‖ u8 1 proved, 2 false, 3 taken ‖ 32-byte bitmap: bit i of byte b stands for part 8b + i, which is lacking */
export function encodeWantedParts({ seq, lacking, judged }: WantedParts): Uint8Array {
  const bitmap = new Uint8Array(PARTS / 8);
  for (const byte of lacking) bitmap[byte >> 3]! |= 1 << (byte & 7);
  return new ByteWriter()
    .u64(seq)
    .u64(judged?.seq ?? 0)
    .u8(judged === undefined ? 0 : VERDICTS.indexOf(judged.verdict))
    .bytes(bitmap)
    .finish();
}

export function decodeWantedParts(bytes: Uint8Array): WantedParts {
  const reader = new ByteReader(bytes, 'wanted parts');
  const seq = reader.u64();
  const judgedSeq = reader.u64();
  const code = reader.u8();
  const bitmap = reader.bytes(PARTS / 8);
  reader.end();
  const verdict = VERDICTS[code];
  if (code >= VERDICTS.length || (verdict === undefined) !== (judgedSeq === 0))
    throw formatError('wanted parts', `the verdict ${code} of the checkpoint ${judgedSeq}`);
  const lacking = Array.from({ length: PARTS }, (_, byte) => byte).filter(
    (byte) => (bitmap[byte >> 3]! & (1 << (byte & 7))) !== 0,
  );
  return { seq, lacking, judged: verdict === undefined ? undefined : { seq: judgedSeq, verdict } };
}

/** nonce 32 ‖ u8 flags (1: with lists) ‖ u32 length ‖ the newest statement that the asker has, or nothing */
export function encodeQuestion(question: {
  readonly nonce: Uint8Array;
  readonly wantsLists: boolean;
  readonly shown: Uint8Array | undefined;
}): Uint8Array {
  const shown = question.shown ?? new Uint8Array(0);
  return new ByteWriter()
    .bytes(question.nonce)
    .u8(question.wantsLists ? 1 : 0)
    .u32(shown.length)
    .bytes(shown)
    .finish();
}

export function decodeQuestion(bytes: Uint8Array): {
  nonce: Uint8Array;
  wantsLists: boolean;
  shown: Uint8Array | undefined;
} {
  const reader = new ByteReader(bytes, 'question');
  const nonce = reader.bytes(32);
  const flags = reader.u8();
  if (flags > 1) throw formatError('question', `flags ${flags}`);
  const length = reader.u32();
  if (length > STATEMENT_BYTES_MAX) throw formatError('question', `a statement of ${length} bytes`);
  const shown = length === 0 ? undefined : reader.bytes(length);
  reader.end();
  return { nonce, wantsLists: flags === 1, shown };
}

/** parts: statement, then the lists */
export function encodeAnswer({ statement, lists }: StatementAnswer): Uint8Array {
  return encodeParts([statement, ...lists]);
}

export function decodeAnswer(bytes: Uint8Array): StatementAnswer {
  const [statement, ...lists] = decodeParts(bytes, 'statement answer', LIST_BYTES_MAX);
  if (statement === undefined) throw formatError('statement answer', 'there is no statement in it');
  if (statement.length > STATEMENT_BYTES_MAX)
    throw formatError('statement answer', `a statement of ${statement.length} bytes`);
  if (lists.length > SHARDS_MAX) throw formatError('statement answer', `${lists.length} lists`);
  return { statement, lists };
}

/** u32 incarnation ‖ u64 seq ‖ link 32 */
export function writePosition(writer: ByteWriter, { incarnation, seq, link }: Position): ByteWriter {
  return writer.u32(incarnation).u64(seq).bytes(fromHex(link, 32));
}

export function readPosition(reader: ByteReader): Position {
  return { incarnation: reader.u32(), seq: reader.u64(), link: toHex(reader.bytes(32)) };
}

export function decodePosition(bytes: Uint8Array): Position {
  const reader = new ByteReader(bytes, 'position');
  const position = readPosition(reader);
  reader.end();
  return position;
}

/** u32 count ‖ (agent 16 ‖ position) each ‖ u32 count ‖ branches ‖ u32 count ‖ 16-byte slot ids */
export function encodeState(state: PeerState): Uint8Array {
  const writer = new ByteWriter().u32(state.positions.length);
  for (const { agent, position } of state.positions) writePosition(writer.bytes(fromHex(agent, 16)), position);
  writer.u32(state.branches.length);
  for (const { agent, tip, base } of state.branches) {
    writePosition(writer.bytes(fromHex(agent, 16)), tip).u8(base === undefined ? 0 : 1);
    if (base !== undefined) writePosition(writer, base);
  }
  writer.u32(state.slots.length);
  for (const slot of state.slots) writer.bytes(fromHex(slot, 16));
  return writer.finish();
}

export function decodeState(bytes: Uint8Array): PeerState {
  const reader = new ByteReader(bytes, 'peer state');
  const positions: { agent: string; position: Position }[] = [];
  for (let left = countOf(reader, 16 + POSITION_BYTES); left > 0; left--)
    positions.push({ agent: toHex(reader.bytes(16)), position: readPosition(reader) });
  const branches: Branch[] = [];
  for (let left = countOf(reader, 17 + POSITION_BYTES); left > 0; left--) {
    const agent = toHex(reader.bytes(16));
    const tip = readPosition(reader);
    branches.push({ agent, tip, base: reader.u8() === 1 ? readPosition(reader) : undefined });
  }
  const slotCount = countOf(reader, 16);
  if (slotCount > SLOTS_MAX) throw formatError('peer state', `${slotCount} slots`);
  const slots: string[] = [];
  for (let i = 0; i < slotCount; i++) slots.push(toHex(reader.bytes(16)));
  reader.end();
  return { positions, branches, slots };
}

function countOf(reader: ByteReader, bytesOfOne: number): number {
  const count = reader.u32();
  if (count > reader.remaining / bytesOfOne)
    throw formatError('peer state', `${count} items in ${reader.remaining} bytes`);
  return count;
}
