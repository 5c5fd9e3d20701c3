/**
 * Which chunks running sessions rely on. Sessions die with the process (the data dir lock admits one), so claims lie in a temporary table:
 * bounded memory, no fsync, gone after a crash. Only the 48-bit key is kept; a chance collision keeps a copy a little longer, never less long.
 * What a session stores itself needs no row of its own: pack numbers only grow while the process lives, and a session relies on every pack that came
 * after it began, whoever wrote it (a compaction may have moved its chunks).
 */

import { EdgeError } from '../core/errors.ts';
import type { ChunkId, RecordHash } from '../core/ids.ts';
import type { Db } from './database.ts';
import { key48 } from './key48.ts';

export interface ClaimingSession {
  readonly session: number;
  readonly what: string;
  /** Ids of snapshots that it relies on with all that they reach. */
  readonly snapshots: readonly RecordHash[];
}

export interface Claims {
  /** `firstPack`: the number that the next pack gets. `snapshots`: live ones that the session relies on. */
  begin(what: string, firstPack: number, snapshots: readonly RecordHash[]): number;
  /** Its claims end when every collection that is open now has ended too: that one may have walked before they were made (docs/chain.md 2.8). */
  end(session: number): void;
  /** Opens a collection. */
  beginCollection(): number;
  endCollection(collection: number): void;
  /** E_FAILED for a session that is not open. */
  add(session: number, id: ChunkId): void;
  requireOpen(session: number): void;
  /** Whether an open session relies on the chunk, of which there is a copy in this pack. */
  isClaimed(id: ChunkId, pack: number): boolean;
  /** Open sessions, and those that ended while a collection was open. */
  sessions(): ClaimingSession[];
}

export function claims(db: Db): Claims {
  db.exec(
    'CREATE TEMP TABLE claims (key48 INTEGER NOT NULL, session INTEGER NOT NULL, PRIMARY KEY (key48, session)) STRICT, WITHOUT ROWID',
  );
  const add = db.prepare<[number, number]>('INSERT OR IGNORE INTO temp.claims (key48, session) VALUES (?, ?)');
  const find = db.prepare<[number], number>('SELECT 1 FROM temp.claims WHERE key48 = ? LIMIT 1').pluck();
  const end = db.prepare<[number]>('DELETE FROM temp.claims WHERE session = ?');
  const endAll = db.prepare('DELETE FROM temp.claims');
  const open = new Map<number, OpenSession>();
  const collections = new Set<number>();
  let last = 0;
  const isOpen = (session: number): boolean => open.get(session)?.isEnded === false;
  const requireOpen = (session: number): void => {
    if (!isOpen(session)) throw new EdgeError('E_FAILED', `session ${session} is not open`);
  };
  const release = (session: number): void => {
    open.delete(session);
    if (open.size === 0) endAll.run();
    else end.run(session);
  };
  return {
    begin: (what, firstPack, snapshots) => {
      open.set(++last, { what, firstPack, snapshots, isEnded: false, waitsFor: new Set() });
      return last;
    },
    end: (session) => {
      const ending = open.get(session);
      if (ending === undefined || ending.isEnded) return;
      ending.isEnded = true;
      ending.waitsFor = new Set(collections);
      if (ending.waitsFor.size === 0) release(session);
    },
    beginCollection: () => {
      collections.add(++last);
      return last;
    },
    endCollection: (collection) => {
      collections.delete(collection);
      for (const [session, one] of open)
        if (one.waitsFor.delete(collection) && one.waitsFor.size === 0) release(session);
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
    sessions: () => [...open].map(([session, { what, snapshots }]) => ({ session, what, snapshots })),
  };
}

interface OpenSession {
  readonly what: string;
  readonly firstPack: number;
  readonly snapshots: readonly RecordHash[];
  isEnded: boolean;
  /** Collections that were open when it ended. */
  waitsFor: Set<number>;
}
