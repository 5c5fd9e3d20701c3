/**
 * What hold entries change in the parts of a shard, read from bodies in passes of bounded memory (docs/chain.md 1.7).
 */
import { PARTS, type PartChange } from '../../chain/checkpoint-parts.ts';
import { EntryKind } from '../../chain/entry-head.ts';
import { decodeAdd, decodeRelease, FORM_BYTES, readForm } from '../../chain/forms.ts';
import { EdgeError, isEdgeError } from '../../core/errors.ts';
import type { EntryRow } from '../../ports/chain-index.ts';
import type { ChainsDeps } from './chains-deps.ts';
import { type ReadEntryDeps, readBody, readHead } from './read-entry.ts';

const ROWS_AT_ONCE = 256;
const ID_BYTES = 32;

/** Rows of one entry that belong to one part, as they lie in its body. */
interface RawChange {
  readonly seq: number;
  readonly isAdd: boolean;
  readonly rows: Uint8Array;
}

/** The changes of a range of parts. Bytes as they lie in bodies, so that a million changes are no million objects. */
export class PartChanges {
  readonly #ofByte: RawChange[][] = Array.from({ length: PARTS }, () => []);

  /** Rows of the entry whose ids begin with a byte of the range. */
  take({ row, body }: HoldBody, first: number, last: number): void {
    const { seq } = row;
    const isAdd = row.kind === EntryKind.add;
    const unit = unitOf(row);
    const found = new Map<number, number[]>();
    for (let at = 0; at < body.length; at += unit) {
      const byte = body[at]!;
      if (byte < first || byte > last) continue;
      const offsets = found.get(byte);
      if (offsets === undefined) found.set(byte, [at]);
      else offsets.push(at);
    }
    for (const [byte, offsets] of found) {
      const rows = new Uint8Array(offsets.length * unit);
      for (const [i, at] of offsets.entries()) rows.set(body.subarray(at, at + unit), i * unit);
      this.#ofByte[byte]!.push({ seq, isAdd, rows });
    }
  }

  /** In the order of the chain. */
  of(byte: number): PartChange[] {
    return this.#ofByte[byte]!.flatMap(({ seq, isAdd, rows }) => {
      const changes: PartChange[] = [];
      const unit = isAdd ? FORM_BYTES : ID_BYTES;
      for (let at = 0; at < rows.length; at += unit) {
        if (isAdd) {
          const { addedSeq: _, ...form } = readForm(rows, at, 'add');
          changes.push({ seq, form });
        } else changes.push({ seq, released: rows.subarray(at, at + ID_BYTES) });
      }
      return changes;
    });
  }
}

export interface HoldBody {
  readonly row: EntryRow;
  readonly body: Uint8Array;
}

/**
 * Adds and releases of a shard after a seq and up to another one, in order, with their bodies. E_NOT_FOUND for a body
 * that never came.
 */
export function* holdBodies(
  chain: number,
  shard: number,
  afterSeq: number,
  untilSeq: number,
  deps: ReadEntryDeps & Pick<ChainsDeps, 'index'>,
): Generator<HoldBody> {
  for (let after = afterSeq; ; ) {
    const rows = deps.index.chainTable.entries(chain, after, untilSeq, ROWS_AT_ONCE);
    if (rows.length === 0) return;
    for (const row of rows) {
      if (row.shard !== shard || (row.kind !== EntryKind.add && row.kind !== EntryKind.release)) continue;
      const body = readBody(row, readHead(row, deps), deps);
      if (body === undefined)
        throw new EdgeError('E_NOT_FOUND', `the body of entry ${row.incarnation}/${row.seq} is not here`, {
          context: { seq: row.seq },
        });
      yield { row, body };
    }
    after = rows.at(-1)!.seq;
  }
}

/** Bytes of one form, or of one id. */
export function unitOf({ kind }: Pick<EntryRow, 'kind'>): number {
  return kind === EntryKind.add ? FORM_BYTES : ID_BYTES;
}

/** An entry that was signed and has no meaning changes nothing at any store. */
export function hasMeaning({ row, body }: HoldBody): boolean {
  try {
    if (row.kind === EntryKind.add) decodeAdd(body);
    else decodeRelease(body);
    return true;
  } catch (error) {
    if (!isEdgeError(error, 'E_FORMAT')) throw error;
    return false;
  }
}
