/**
 * Which chunks running sessions rely on. Sessions die with the process (the data dir lock admits one), so claims lie in a temporary table:
 * bounded memory, no fsync, gone after a crash. Only the 48-bit key is kept; a chance collision keeps a copy a little longer, never less long.
 * What a session stores itself needs no row of its own: pack numbers only grow while the process lives, and a session relies on every pack that came
 * after it began, whoever wrote it (a compaction may have moved its chunks).
 */

import { EdgeError } from '../core/errors.ts';
import type { ChunkId } from '../core/ids.ts';
import type { Db } from './database.ts';
import { key48 } from './key48.ts';

export interface Claims {
  /** `firstPack`: the number that the next pack gets. */
  begin(what: string, firstPack: number): number;
  end(session: number): void;
  /** E_FAILED for a session that is not open. */
  add(session: number, id: ChunkId): void;
  requireOpen(session: number): void;
  /** Whether an open session relies on the chunk, of which there is a copy in this pack. */
  isClaimed(id: ChunkId, pack: number): boolean;
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
  const open = new Map<number, { readonly what: string; readonly firstPack: number }>();
  let last = 0;
  const requireOpen = (session: number): void => {
    if (!open.has(session)) throw new EdgeError('E_FAILED', `session ${session} is not open`);
  };
  return {
    begin: (what, firstPack) => {
      open.set(++last, { what, firstPack });
      return last;
    },
    end: (session) => {
      if (!open.delete(session)) return;
      if (open.size === 0) endAll.run();
      else end.run(session);
    },
    add: (session, id) => {
      requireOpen(session);
      add.run(key48(id), session);
    },
    requireOpen,
    isClaimed: (id, pack) => {
      for (const { firstPack } of open.values()) if (pack >= firstPack) return true;
      return open.size > 0 && find.get(key48(id)) !== undefined;
    },
    sessions: () => [...open].map(([session, { what }]) => ({ session, what })),
  };
}
