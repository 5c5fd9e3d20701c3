/** Rows of chains, their entries and damage. See docs/formats/index.md. */
import type { EntryKind } from '../chain/entry-head.ts';
import type { Position } from '../chain/position.ts';
import { EdgeError } from '../core/errors.ts';
import { fromHex, toHex } from '../core/ids.ts';
import type { ChainRow, ChainTable, DamageRow, EntryRow } from '../ports/chain-index.ts';
import type { Db } from './database.ts';

interface RawChain {
  readonly chain: number;
  readonly agent: Buffer;
  readonly parent: number | null;
  readonly base_seq: number;
  readonly is_own: number;
  readonly incarnation: number;
  readonly seq: number;
  readonly link: Buffer | null;
}

interface RawEntry {
  readonly chain: number;
  readonly seq: number;
  readonly incarnation: number;
  readonly kind: number;
  readonly shard: number;
  readonly link: Buffer;
  readonly file_incarnation: number;
  readonly file: number;
  readonly offset: number;
  readonly item_end: number;
  readonly body_bytes: number;
  readonly body_at: number | null;
  readonly is_late: number;
  readonly waits: number;
}

const ENTRY =
  'chain, seq, incarnation, kind, shard, link, file_incarnation, file, offset, item_end, body_bytes, body_at, is_late, waits';
/**
 * Snapshots behind a place, which is an incarnation and a seq. By seq alone they are not in order: a checkpoint may
 * have snapshots of an older incarnation, from behind the base of its own.
 */
const BEHIND = '(incarnation, seq) > (?, ?)';
/** Tables whose rows belong to a chain. */
const TABLES_OF_CHAIN = [
  'entries',
  'chain_damage',
  'shards',
  'snapshots',
  'pins',
  'forgotten',
  'settings',
  'checked_checkpoints',
  'disputed',
];

export function chainTable(db: Db): ChainTable {
  const all = db.prepare<[], RawChain>('SELECT * FROM chains ORDER BY chain');
  const followed = db.prepare<[Uint8Array], RawChain>('SELECT * FROM chains WHERE agent = ? AND parent IS NULL');
  const byNumber = db.prepare<[number], RawChain>('SELECT * FROM chains WHERE chain = ?');
  const insert = db.prepare('INSERT INTO chains (agent, parent, base_seq, is_own) VALUES (?, ?, ?, ?)');
  const setPosition = db.prepare('UPDATE chains SET incarnation = ?, seq = ?, link = ? WHERE chain = ?');
  const addEntry = db.prepare(`INSERT INTO entries (${ENTRY}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`);
  const entry = db.prepare<[number, number], RawEntry>(`SELECT ${ENTRY} FROM entries WHERE chain = ? AND seq = ?`);
  const range = db.prepare<[number, number, number, number], RawEntry>(
    `SELECT ${ENTRY} FROM entries WHERE chain = ? AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?`,
  );
  const last = db.prepare<[number], RawEntry>(`SELECT ${ENTRY} FROM entries WHERE chain = ? ORDER BY seq DESC LIMIT 1`);
  const takeovers = db.prepare<[number], RawEntry>(
    `SELECT ${ENTRY} FROM entries WHERE chain = ? AND kind = 7 ORDER BY seq`,
  );
  const waiting = db.prepare<[number, number, number], RawEntry>(
    `SELECT ${ENTRY} FROM entries WHERE chain = ? AND shard = ? AND waits = 1 ORDER BY seq LIMIT ?`,
  );
  const setBody = db.prepare('UPDATE entries SET body_at = ?, is_late = ? WHERE chain = ? AND seq = ?');
  const setWaits = db.prepare('UPDATE entries SET waits = ? WHERE chain = ? AND seq = ?');
  const missingBodies = db
    .prepare<[number, number, number], number>(
      'SELECT seq FROM entries WHERE chain = ? AND shard = ? AND waits = 1 AND body_at IS NULL ORDER BY seq LIMIT ?',
    )
    .pluck();
  const makeAllWait = db.prepare('UPDATE entries SET waits = 1 WHERE chain = ? AND kind IN (2, 3, 5)');
  const waitingShards = db
    .prepare<[number], number>('SELECT DISTINCT shard FROM entries WHERE chain = ? AND waits = 1 ORDER BY shard')
    .pluck();
  const setPlace = db.prepare(
    'UPDATE entries SET chain = ?, file_incarnation = ?, file = ?, offset = ?, item_end = ?, body_at = ? WHERE chain = ? AND seq = ?',
  );
  const noteDamage = db.prepare(
    'INSERT OR REPLACE INTO chain_damage (chain, first_seq, last_seq, message, noted_ns) VALUES (?, ?, ?, ?, ?)',
  );
  const clearDamage = db.prepare('DELETE FROM chain_damage WHERE chain = ? AND first_seq >= ? AND last_seq <= ?');
  const damage = db.prepare<[number], RawDamage>(
    'SELECT chain, first_seq, last_seq, message, CAST(noted_ns AS TEXT) AS noted_ns FROM chain_damage WHERE chain = ? ORDER BY first_seq',
  );
  const checkpoints = db.prepare<[number, number, number], RawEntry>(
    `SELECT ${ENTRY} FROM entries WHERE chain = ? AND shard = ? AND kind = 5 ORDER BY seq DESC LIMIT ?`,
  );
  const bodyBytes = db
    .prepare<[number, number, number, number], number>(
      'SELECT COALESCE(SUM(body_bytes), 0) FROM entries WHERE chain = ? AND shard = ? AND seq > ? AND seq <= ? AND kind IN (2, 3)',
    )
    .pluck();
  const missingBodyBytes = db
    .prepare<[number, number, number], number>(
      'SELECT COALESCE(SUM(body_bytes), 0) FROM entries WHERE chain = ? AND shard = ? AND waits = 1 AND body_at IS NULL AND seq <= ?',
    )
    .pluck();
  const transaction = <T>(work: () => T): T => (db.inTransaction ? work() : db.transaction(work).immediate());

  const placeOf = (chain: number, seq: number): [number, number] => [entryOf(chain, seq)?.incarnation ?? 0, seq];
  const rowOf = (chain: number): ChainRow => {
    const raw = byNumber.get(chain);
    if (raw === undefined) throw new EdgeError('E_INTEGRITY', `the index names chain ${chain}, which it does not have`);
    return toChain(raw);
  };
  const entryOf = (chain: number, seq: number): EntryRow | undefined => {
    const raw = entry.get(chain, seq);
    if (raw !== undefined) return toEntry(raw);
    const { parent, baseSeq } = rowOf(chain);
    return parent === undefined || seq > baseSeq ? undefined : entryOf(parent, seq);
  };
  const placePosition = (chain: number, position: Position | undefined): void => {
    const link = position === undefined ? null : fromHex(position.link, 32);
    setPosition.run(position?.incarnation ?? 0, position?.seq ?? 0, link, chain);
  };

  return {
    rows: () => all.all().map(toChain),
    followed: (agent) => {
      const raw = followed.get(fromHex(agent, 16));
      return raw === undefined ? undefined : toChain(raw);
    },
    row: rowOf,
    add: (agent, isOwn, branch) =>
      rowOf(
        Number(
          insert.run(fromHex(agent, 16), branch?.parent ?? null, branch?.baseSeq ?? 0, Number(isOwn)).lastInsertRowid,
        ),
      ),
    addEntry: (row) =>
      transaction(() => {
        addEntry.run(
          row.chain,
          row.seq,
          row.incarnation,
          row.kind,
          row.shard,
          fromHex(row.link, 32),
          row.fileIncarnation,
          row.file,
          row.offset,
          row.itemEnd,
          row.bodyBytes,
          row.bodyAt ?? null,
          Number(row.isLate),
          Number(row.waits),
        );
        placePosition(row.chain, row);
      }),
    entry: entryOf,
    entries: (chain, afterSeq, untilSeq, limit) => range.all(chain, afterSeq, untilSeq, limit).map(toEntry),
    lastEntry: (chain) => {
      const raw = last.get(chain);
      return raw === undefined ? undefined : toEntry(raw);
    },
    takeovers: (chain) => takeovers.all(chain).map(toEntry),
    setBody: (chain, seq, at, isLate) => void setBody.run(at, Number(isLate), chain, seq),
    dropBody: (chain, seq) => void setBody.run(null, 0, chain, seq),
    missingBodies: (chain, shard, limit) => missingBodies.all(chain, shard, limit),
    makeAllWait: (chain) => void makeAllWait.run(chain),
    waitingShards: (chain) => waitingShards.all(chain),
    setWaits: (chain, seq, waits) => void setWaits.run(Number(waits), chain, seq),
    waiting: (chain, shard, limit) => waiting.all(chain, shard, limit).map(toEntry),
    placeOf: (row) => {
      if (row.bodyAt === undefined) return undefined;
      const { agent, parent, position } = rowOf(row.chain);
      const branch = parent === undefined ? undefined : position?.link;
      const { fileIncarnation, file, isLate, bodyAt: at, bodyBytes: bytes } = row;
      return { agent, branch, fileIncarnation, file, isLate, at, bytes };
    },
    split: (chain, baseSeq, moved) =>
      transaction(() => {
        const old = rowOf(chain);
        const number = Number(insert.run(fromHex(old.agent, 16), chain, baseSeq, Number(old.isOwn)).lastInsertRowid);
        for (let after = baseSeq; ; ) {
          const page = range.all(chain, after, Number.MAX_SAFE_INTEGER, 1000).map(toEntry);
          if (page.length === 0) break;
          for (const row of page) {
            const { fileIncarnation, file, offset } = moved(row);
            const at = row.bodyAt === undefined || row.isLate ? (row.bodyAt ?? null) : row.bodyAt + offset - row.offset;
            setPlace.run(number, fileIncarnation, file, offset, row.itemEnd + offset - row.offset, at, chain, row.seq);
          }
          after = page.at(-1)!.seq;
        }
        placePosition(number, old.position);
        // Older branches that hang on an entry beyond the base hang on the new branch now.
        db.prepare('UPDATE chains SET parent = ? WHERE parent = ? AND base_seq > ? AND chain <> ?').run(
          number,
          chain,
          baseSeq,
          number,
        );
        db.prepare(`UPDATE snapshots SET chain = ? WHERE chain = ? AND ${BEHIND}`).run(
          number,
          chain,
          ...placeOf(chain, baseSeq),
        );
        for (const table of ['shards', 'pins', 'forgotten', 'settings', 'disputed'])
          db.prepare(`UPDATE ${table} SET chain = ? WHERE chain = ?`).run(number, chain);
        db.prepare('UPDATE chain_damage SET chain = ? WHERE chain = ? AND first_seq > ?').run(number, chain, baseSeq);
        // Looked at again, as of what the trail has now.
        db.prepare('DELETE FROM checked_checkpoints WHERE chain = ?').run(chain);
        placePosition(chain, baseSeq === 0 ? undefined : entryOf(chain, baseSeq));
        return rowOf(number);
      }),
    rewind: (chain, seq) =>
      transaction(() => {
        db.prepare('DELETE FROM entries WHERE chain = ? AND seq > ?').run(chain, seq);
        db.prepare(`DELETE FROM snapshots WHERE chain = ? AND ${BEHIND}`).run(chain, ...placeOf(chain, seq));
        db.prepare('DELETE FROM chain_damage WHERE chain = ? AND last_seq > ?').run(chain, seq);
        placePosition(chain, seq === 0 ? undefined : entryOf(chain, seq));
      }),
    clear: (chain) =>
      transaction(() => {
        db.prepare('DELETE FROM holds WHERE shard_ref IN (SELECT shard_ref FROM shards WHERE chain = ?)').run(chain);
        for (const table of TABLES_OF_CHAIN) db.prepare(`DELETE FROM ${table} WHERE chain = ?`).run(chain);
        db.prepare('DELETE FROM chains WHERE chain = ?').run(chain);
      }),
    noteDamage: (row) =>
      void noteDamage.run(row.chain, row.firstSeq, row.lastSeq, row.message.slice(0, 500), row.notedNs),
    clearDamage: (chain, firstSeq, lastSeq) => void clearDamage.run(chain, firstSeq, lastSeq),
    damage: (chain) => damage.all(chain).map(toDamage),
    checkpoints: (chain, shard, limit) => checkpoints.all(chain, shard, limit).map(toEntry),
    missingBodyBytes: (chain, shard, untilSeq) => missingBodyBytes.get(chain, shard, untilSeq)!,
    passOver: (chain, shard, untilSeq) =>
      transaction(() => {
        db.prepare('UPDATE entries SET waits = 0 WHERE chain = ? AND shard = ? AND waits = 1 AND seq <= ?').run(
          chain,
          shard,
          untilSeq,
        );
        db.prepare('UPDATE entries SET waits = 1 WHERE chain = ? AND shard = ? AND kind IN (2, 3, 5) AND seq > ?').run(
          chain,
          shard,
          untilSeq,
        );
      }),
    bodyBytes: (chain, shard, afterSeq, untilSeq) => bodyBytes.get(chain, shard, afterSeq, untilSeq)!,
  };
}

interface RawDamage {
  readonly chain: number;
  readonly first_seq: number;
  readonly last_seq: number;
  readonly message: string;
  readonly noted_ns: string;
}

function toDamage(raw: RawDamage): DamageRow {
  return {
    chain: raw.chain,
    firstSeq: raw.first_seq,
    lastSeq: raw.last_seq,
    message: raw.message,
    notedNs: BigInt(raw.noted_ns),
  };
}

function toChain(raw: RawChain): ChainRow {
  return {
    chain: raw.chain,
    agent: toHex(raw.agent),
    isOwn: raw.is_own === 1,
    parent: raw.parent ?? undefined,
    baseSeq: raw.base_seq,
    position: raw.link === null ? undefined : { incarnation: raw.incarnation, seq: raw.seq, link: toHex(raw.link) },
  };
}

function toEntry(raw: RawEntry): EntryRow {
  return {
    chain: raw.chain,
    seq: raw.seq,
    incarnation: raw.incarnation,
    kind: raw.kind as EntryKind,
    shard: raw.shard,
    link: toHex(raw.link),
    fileIncarnation: raw.file_incarnation,
    file: raw.file,
    offset: raw.offset,
    itemEnd: raw.item_end,
    bodyBytes: raw.body_bytes,
    bodyAt: raw.body_at ?? undefined,
    isLate: raw.is_late === 1,
    waits: raw.waits === 1,
  };
}
