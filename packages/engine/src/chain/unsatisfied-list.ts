/** Lists of what a store lacks in a shard, as they go with a statement (docs/formats/statement.md). */
import { createHash } from 'node:crypto';
import { asBuffer } from '../core/bytes.ts';
import { EdgeError, formatError } from '../core/errors.ts';
import type { HexId } from '../core/ids.ts';
import type { StatedShard, UnsatisfiedList, UnsatisfiedReason } from './statement.ts';

/** Above this a store makes no list. */
export const UNSATISFIED_IDS_MAX = 65_536;
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
  const count = bytes.length / ROW_BYTES;
  if (!Number.isInteger(count) || count > UNSATISFIED_IDS_MAX) throw formatError(WHAT, `${bytes.length} bytes`);
  const view = asBuffer(bytes);
  return Array.from({ length: count }, (_, i) => {
    const at = i * ROW_BYTES;
    const reason = REASONS[view[at + 32]!];
    if (reason === undefined) throw formatError(WHAT, `the reason ${view[at + 32]}`);
    if (i > 0 && view.compare(view, at, at + 32, at - ROW_BYTES, at - 1) >= 0)
      throw formatError(WHAT, 'it is not sorted');
    return { id: new Uint8Array(view.subarray(at, at + 32)), reason };
  });
}

/** SHA-256 of an encoded list. */
export function listDigest(encoded: Uint8Array): HexId {
  return createHash('sha256').update(encoded).digest('hex');
}

/** The list that belongs to what was stated of a shard. E_INTEGRITY for another one: lists of two statements are never combined. */
export function requireListOf(stated: StatedShard, encoded: Uint8Array): UnsatisfiedList {
  if (stated.listDigest === NO_LIST || listDigest(encoded) !== stated.listDigest)
    throw new EdgeError('E_INTEGRITY', `the list of shard ${stated.shard} is not the one that the statement names`);
  const list = decodeUnsatisfiedList(encoded);
  if (list.length !== stated.wanted + stated.lost + stated.unreadable)
    throw new EdgeError(
      'E_INTEGRITY',
      `the list of shard ${stated.shard} has ${list.length} chunks, not those that are counted`,
    );
  return list;
}
