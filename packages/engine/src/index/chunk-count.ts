/**
 * How many chunks the index has a copy of: kept with the rows, since whoever looks at a status must not wait until
 * millions are counted.
 */
import type { Db } from './database.ts';
import { LOOKED_UP_AT_ONCE } from './look-many-up.ts';

export const CHUNK_COUNT_KEY = 'index.chunks';
/** No id has this key: it fills a statement up. */
const NO_KEY = -1;

export interface ChunkCount {
  get(): number;
  /** Within the transaction that changes the rows. */
  change(by: number): void;
  /** Of keys that are about to be inserted, those that no row has. At most `LOOKED_UP_AT_ONCE`. */
  newAmong(keys: readonly number[]): number;
  /** Chunks that only these rows of a pack have. */
  onlyIn(fromFrame: number, toFrame: number, pack: number): number;
  /** Whether the row is the only one of its chunk. */
  isOnly(frame: number): boolean;
}

export function chunkCount(db: Db): ChunkCount {
  const kept = db
    .prepare<[], number>(`SELECT CAST(value AS INTEGER) FROM key_value WHERE key = '${CHUNK_COUNT_KEY}'`)
    .pluck();
  const counted = db.prepare<[], number>('SELECT count(DISTINCT key48) FROM frames').pluck();
  const change = db.prepare<[number]>(
    `UPDATE key_value SET value = CAST(CAST(value AS INTEGER) + ? AS TEXT) WHERE key = '${CHUNK_COUNT_KEY}'`,
  );
  const places = Array(LOOKED_UP_AT_ONCE).fill('?').join(', ');
  const known = db
    .prepare<number[], number>(`SELECT count(DISTINCT key48) FROM frames WHERE key48 IN (${places})`)
    .pluck();
  const only = db
    .prepare<{ from: number; to: number; pack: number }, number>(
      `SELECT count(DISTINCT key48) FROM frames f WHERE frame >= :from AND frame < :to AND pack = :pack
       AND NOT EXISTS (SELECT 1 FROM frames g WHERE g.key48 = f.key48 AND NOT (g.frame >= :from AND g.frame < :to AND g.pack = :pack))`,
    )
    .pluck();
  const others = db
    .prepare<[number], number>(
      'SELECT 1 FROM frames f JOIN frames g ON g.key48 = f.key48 AND g.frame <> f.frame WHERE f.frame = ? LIMIT 1',
    )
    .pluck();
  return {
    // An index that was made before the count was kept is counted.
    get: () => kept.get() ?? counted.get()!,
    change: (by) => {
      if (by !== 0) change.run(by);
    },
    newAmong: (keys) => {
      const filled = [...keys, ...Array<number>(LOOKED_UP_AT_ONCE - keys.length).fill(NO_KEY)];
      return new Set(keys).size - known.get(...filled)!;
    },
    onlyIn: (from, to, pack) => only.get({ from, to, pack })!,
    isOnly: (frame) => others.get(frame) === undefined,
  };
}
