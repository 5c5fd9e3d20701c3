/**
 * Rows of forms whose ids are not held yet. Nearly all are such, and few calls into the database are enough for many of
 * them.
 */
import type { Form } from '../chain/forms.ts';
import type { UnsatisfiedReason } from '../chain/statement.ts';
import type { MissingReason } from '../ports/chain-index.ts';
import type { Db } from './database.ts';
import type { FrameTable } from './frame-table.ts';
import { Copies, LOOKED_UP_AT_ONCE } from './look-many-up.ts';
import type { ShardCounts, StateCode } from './shard-table.ts';

/** Forms of one add, from a position on; at most `LOOKED_UP_AT_ONCE`. */
export interface NewForms {
  readonly forms: readonly Form[];
  readonly keys: readonly number[];
  readonly ref: number;
  readonly seq: number;
  readonly position: number;
}

export const SATISFIED = 0;
export const CODES: Readonly<Record<UnsatisfiedReason, StateCode>> = { wanted: 1, lost: 2, unreadable: 3 };

const COLUMNS = 5;

/** An INSERT of so many rows: key, shard, seq, position and state of each. */
export function insertHolds(rows: number): string {
  return `INSERT INTO holds (key48, shard_ref, seq, position, state) VALUES ${Array(rows).fill('(?, ?, ?, ?, ?)').join(', ')}`;
}

/** `isSatisfied`: whether a copy that was not opened here has the bytes of the form. */
export function newHolds(
  db: Db,
  deps: { readonly frames: Pick<FrameTable, 'copiesOfMany'>; readonly isSatisfied: (form: Form) => boolean },
): (some: NewForms, missing: MissingReason, counts: ShardCounts) => void {
  const insert = db.prepare(insertHolds(1));
  const insertMany = db.prepare(insertHolds(LOOKED_UP_AT_ONCE));
  return ({ forms, keys, ref, seq, position: first }, missing, counts) => {
    const copies = deps.frames.copiesOfMany(forms.map(({ id }) => id));
    const values: number[] = [];
    for (const [i, form] of forms.entries()) {
      const position = first + i;
      const isHere = copies[i] === Copies.identified || (copies[i] === Copies.unidentified && deps.isSatisfied(form));
      const state = isHere ? SATISFIED : CODES[typeof missing === 'function' ? missing(seq, position) : missing];
      values.push(keys[i]!, ref, seq, position, state);
      counts.add(state);
    }
    if (forms.length === LOOKED_UP_AT_ONCE) insertMany.run(values);
    else for (let at = 0; at < values.length; at += COLUMNS) insert.run(values.slice(at, at + COLUMNS));
  };
}
