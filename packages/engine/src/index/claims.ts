/**
 * Which chunks running sessions rely on. Sessions die with the process (the data dir lock admits one), so claims lie in a temporary table:
 * bounded memory, no fsync, gone after a crash. Only the 48-bit key is kept; a chance collision keeps a copy a little longer, never less long.
 */

import { EdgeError } from '../core/errors.ts';
import type { ChunkId } from '../core/ids.ts';
import type { Db } from './database.ts';
import { key48 } from './key48.ts';

export interface Claims {
  begin(what: string): number;
  end(session: number): void;
  add(session: number, id: ChunkId): void;
  isClaimed(id: ChunkId): boolean;
  sessions(): { readonly session: number; readonly what: string }[];
}

export function claims(db: Db): Claims {
  db.exec(
    'CREATE TEMP TABLE claims (key48 INTEGER NOT NULL, session INTEGER NOT NULL, PRIMARY KEY (key48, session)) STRICT, WITHOUT ROWID',
  );
  const add = db.prepare<[number, number]>('INSERT OR IGNORE INTO temp.claims (key48, session) VALUES (?, ?)');
  const find = db.prepare<[number], number>('SELECT 1 FROM temp.claims WHERE key48 = ? LIMIT 1').pluck();
  const end = db.prepare<[number]>('DELETE FROM temp.claims WHERE session = ?');
  const endAll = db.prepare('DELETE FROM temp.claims');
  const open = new Map<number, string>();
  let last = 0;
  return {
    begin: (what) => {
      open.set(++last, what);
      return last;
    },
    end: (session) => {
      if (!open.delete(session)) return;
      if (open.size === 0) endAll.run();
      else end.run(session);
    },
    add: (session, id) => {
      if (!open.has(session)) throw new EdgeError('E_FAILED', `session ${session} is not open`);
      add.run(key48(id), session);
    },
    isClaimed: (id) => open.size > 0 && find.get(key48(id)) !== undefined,
    sessions: () => [...open].map(([session, what]) => ({ session, what })),
  };
}
