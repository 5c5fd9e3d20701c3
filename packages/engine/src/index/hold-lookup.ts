import type { ChunkId } from '../core/ids.ts';
import type { Db } from './database.ts';
import { keyValueTable } from './key-value.ts';
import { key48 } from './key48.ts';

/** While a hold log could not be read, nobody knows what it held: everything counts as held. */
export const HOLDS_INCOMPLETE = 'index.holds-incomplete';

/** Whether any other owner holds a chunk here; used inside the transactions that drop copies. */
export function holdLookup(db: Db): { isHeld(id: ChunkId): boolean } {
  const find = db
    .prepare<[number, Uint8Array], number>('SELECT 1 FROM holds WHERE key48 = ? AND id = ? LIMIT 1')
    .pluck();
  const facts = keyValueTable(db);
  return { isHeld: (id) => facts.get(HOLDS_INCOMPLETE) !== undefined || find.get(key48(id), id) !== undefined };
}
