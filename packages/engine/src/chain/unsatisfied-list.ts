/** Lists of what a store lacks in a shard, as they go with a statement (docs/formats/statement.md). */
import { createHash } from 'node:crypto';
import { asBuffer } from '../core/bytes.ts';
import { EdgeError, formatError } from '../core/errors.ts';
import type { ChunkId, HexId } from '../core/ids.ts';
import type { StatedShard, UnsatisfiedList, UnsatisfiedReason } from './statement.ts';

/** Above this a store makes no list. */
export const UNSATISFIED_IDS_MAX = 65_536;
/** Rows of all lists of one statement: a shard beyond them has none, so that an answer can be sent and kept. */
export const LISTED_IDS_MAX = 8 * UNSATISFIED_IDS_MAX;
/** Stated in place of a digest where no list is made. */
export const NO_LIST: HexId = '0'.repeat(64);
const ROW_BYTES = 33;
const WHAT = 'list of unsatisfied chunks';
const REASON_CODE: Readonly<Record<UnsatisfiedReason, number>> = { wanted: 1, lost: 2, unreadable: 3 };
const REASONS: readonly (UnsatisfiedReason | undefined)[] = [undefined, 'wanted', 'lost', 'unreadable'];

/** id 32 ‖ reason 1, sorted by id. E_LIMIT above 65,536 ids; E_FAILED when it is not sorted. */
export function encodeUnsatisfiedList(list: UnsatisfiedList): Uint8Array {
  if (list.length > UNSATISFIED_IDS_MAX) throw new EdgeError('E_LIMIT', `a list of ${list.length} chunks`);
  const out = Buffer.alloc(list.length * ROW_BYTES);
  for (const [i, { id, reason }] of list.entries()) {
    if (id.length !== 32 || (i > 0 && asBuffer(list[i - 1]!.id).compare(id) >= 0))
      throw new EdgeError('E_FAILED', 'a list of unsatisfied chunks that is not sorted by id');
    out.set(id, i * ROW_BYTES);
    out.writeUInt8(REASON_CODE[reason], i * ROW_BYTES + 32);
  }
  return out;
}

/** E_FORMAT; E_LIMIT is not possible, as the length is checked first. */
export function decodeUnsatisfiedList(bytes: Uint8Array): UnsatisfiedList {
  return Array.from({ length: checkRows(bytes) }, (_, i) => {
    const at = i * ROW_BYTES;
    return { id: new Uint8Array(bytes.subarray(at, at + 32)), reason: REASONS[bytes[at + 32]!]! };
  });
}

/** Answers how many there are. */
function checkRows(bytes: Uint8Array): number {
  const count = bytes.length / ROW_BYTES;
  if (!Number.isInteger(count) || count > UNSATISFIED_IDS_MAX) throw formatError(WHAT, `${bytes.length} bytes`);
  const view = asBuffer(bytes);
  for (let at = 0; at < bytes.length; at += ROW_BYTES) {
    if (REASONS[view[at + 32]!] === undefined) throw formatError(WHAT, `the reason ${view[at + 32]}`);
    if (at > 0 && view.compare(view, at, at + 32, at - ROW_BYTES, at - 1) >= 0)
      throw formatError(WHAT, 'it is not sorted');
  }
  return count;
}

/** Ids of a list as they came, for look-ups: as objects, those of one answer would take half a gigabyte. */
export interface ListedIds {
  readonly length: number;
  /** Sorted rows: id 32 ‖ reason 1. */
  readonly rows: Uint8Array;
}

/** E_FORMAT, as `decodeUnsatisfiedList`. */
export function listedIds(encoded: Uint8Array): ListedIds {
  return { length: checkRows(encoded), rows: encoded };
}

/** Whether a list, which is sorted by id, has the chunk. */
export function isListed({ length, rows }: ListedIds, id: ChunkId): boolean {
  const view = asBuffer(rows);
  const wanted = asBuffer(id);
  let low = 0;
  let high = length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const order = view.compare(wanted, 0, 32, middle * ROW_BYTES, middle * ROW_BYTES + 32);
    if (order === 0) return true;
    if (order > 0) high = middle - 1;
    else low = middle + 1;
  }
  return false;
}

/** SHA-256 of an encoded list. */
export function listDigest(encoded: Uint8Array): HexId {
  return createHash('sha256').update(encoded).digest('hex');
}

/** The list that belongs to what was stated of a shard. E_INTEGRITY for another one: lists of two statements are never combined. */
export function requireListOf(stated: StatedShard, encoded: Uint8Array): ListedIds {
  if (stated.listDigest === NO_LIST || listDigest(encoded) !== stated.listDigest)
    throw new EdgeError('E_INTEGRITY', `the list of shard ${stated.shard} is not the one that the statement names`);
  const list = listedIds(encoded);
  if (list.length !== stated.wanted + stated.lost + stated.unreadable)
    throw new EdgeError(
      'E_INTEGRITY',
      `the list of shard ${stated.shard} has ${list.length} chunks, not those that are counted`,
    );
  return list;
}
