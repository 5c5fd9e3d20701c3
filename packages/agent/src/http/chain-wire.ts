/** Bodies of the peer protocol that carry chains and statements (`docs/formats/peer-protocol.md`). All little-endian, lengths checked first. */
import {
  type Branch,
  ByteReader,
  ByteWriter,
  type ChainEntry,
  decodeHead,
  ENTRY_BODY_BYTES_MAX,
  type EntryBody,
  formatError,
  fromHex,
  HEAD_BYTES,
  type PeerState,
  type Position,
  type StatementAnswer,
  toHex,
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
