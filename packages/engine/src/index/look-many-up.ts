/** Look-ups of many ids by one statement: the cost of a call into SQLite is shared by them. */
import type { ChunkId } from '../core/ids.ts';
import type { Db } from './database.ts';
import { key48 } from './key48.ts';
import type { StateCode } from './shard-table.ts';

/** Ids of one statement. */
export const LOOKED_UP_AT_ONCE = 32;
/** No id has this key: it fills a statement up. */
const NO_KEY = -1;

/** The given keys that a shard has rows of. At most `LOOKED_UP_AT_ONCE` keys. */
export function heldKeys(db: Db): (shardRef: number, keys: readonly number[]) => ReadonlySet<number> {
  const places = Array(LOOKED_UP_AT_ONCE).fill('?').join(', ');
  const find = db
    .prepare<number[], number>(`SELECT key48 FROM holds WHERE shard_ref = ? AND key48 IN (${places})`)
    .pluck();
  return (shardRef, keys) => {
    const found = find.all(shardRef, ...keys, ...Array<number>(LOOKED_UP_AT_ONCE - keys.length).fill(NO_KEY));
    return found.length === 0 ? NO_KEYS : new Set(found);
  };
}

const NO_KEYS: ReadonlySet<number> = new Set();

/** What there is of a chunk in this store: no good copy, good ones that were not opened here, an identified one. */
export const Copies = { none: 0, unidentified: 1, identified: 2 } as const;

/** `Copies` of each id. At most `LOOKED_UP_AT_ONCE` ids. */
export function goodCopiesOfMany(db: Db, identifiedFlag: number): (ids: readonly ChunkId[]) => Uint8Array {
  const rows = Array.from({ length: LOOKED_UP_AT_ONCE }, (_, i) => `(${i}, ?, ?)`).join(', ');
  const find = db
    .prepare<unknown[], [number, number]>(
      `SELECT w.column1, f.flags & ${identifiedFlag} FROM (VALUES ${rows}) w
       CROSS JOIN frames f ON f.key48 = w.column2 AND f.id = w.column3 WHERE f.state = 0`,
    )
    .raw();
  return (ids) => {
    const values: unknown[] = [];
    for (const id of ids) values.push(key48(id), id);
    while (values.length < 2 * LOOKED_UP_AT_ONCE) values.push(NO_KEY, null);
    const out = new Uint8Array(ids.length);
    for (const [i, flag] of find.all(values)) {
      const copies = flag === 0 ? Copies.unidentified : Copies.identified;
      if (copies > out[i]!) out[i] = copies;
    }
    return out;
  };
}

/** Rows of a hold as they are. */
export interface RawHold {
  readonly key48: number;
  readonly shard_ref: number;
  readonly seq: number;
  readonly position: number;
  readonly state: StateCode;
}

/** Rows of the keys, of any shard, in the order of shard, seq and position. At most `LOOKED_UP_AT_ONCE` keys. */
export function holdsOfKeys(db: Db): (keys: readonly number[]) => ReadonlyMap<number, RawHold[]> {
  const places = Array(LOOKED_UP_AT_ONCE).fill('?').join(', ');
  const find = db.prepare<number[], RawHold>(
    `SELECT key48, shard_ref, seq, position, state FROM holds WHERE key48 IN (${places}) ORDER BY key48, shard_ref, seq, position`,
  );
  return (keys) => {
    const found = new Map<number, RawHold[]>();
    for (const row of find.all(...keys, ...Array<number>(LOOKED_UP_AT_ONCE - keys.length).fill(NO_KEY))) {
      const rows = found.get(row.key48);
      if (rows === undefined) found.set(row.key48, [row]);
      else rows.push(row);
    }
    return found;
  };
}
