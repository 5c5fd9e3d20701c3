import { fromHex, toHex } from '../core/ids.ts';
import type { QueueIndex, QueueRow, TargetId } from '../core/ports/index.ts';
import type { Db } from './database.ts';

interface RawRow {
  readonly item: number;
  readonly target: string;
  readonly snapshot: Buffer;
  readonly seq: number;
  readonly attempts: number;
  readonly next_try_ns: string;
  readonly last_error: string | null;
}

const COLUMNS = 'item, target, snapshot, seq, attempts, CAST(next_try_ns AS TEXT) AS next_try_ns, last_error';

/** Copies that are owed to targets, with what went wrong last. */
export function queueIndex(db: Db): QueueIndex {
  const add = db.prepare('INSERT OR IGNORE INTO queue (target, snapshot, seq) VALUES (?, ?, ?)');
  const due = db.prepare<[string, bigint, number], RawRow>(
    `SELECT ${COLUMNS} FROM queue WHERE target = ? AND next_try_ns <= ? ORDER BY seq, item LIMIT ?`,
  );
  const failed = db.prepare('UPDATE queue SET attempts = attempts + 1, last_error = ?, next_try_ns = ? WHERE item = ?');
  const done = db.prepare<[number]>('DELETE FROM queue WHERE item = ?');
  const all = db.prepare<[], RawRow>(`SELECT ${COLUMNS} FROM queue ORDER BY seq, item`);
  const ofTarget = db.prepare<[string], RawRow>(`SELECT ${COLUMNS} FROM queue WHERE target = ? ORDER BY seq, item`);
  return {
    enqueue: (target, item) => void add.run(target, fromHex(item.snapshot, 32), item.seq),
    due: (target, nowNs, limit) => due.all(target, nowNs, limit).map(toRow),
    failed: (row, error, nextTryNs) => void failed.run(error.slice(0, 1000), nextTryNs, row),
    done: (row) => void done.run(row),
    pending: (target?: TargetId) => (target === undefined ? all.all() : ofTarget.all(target)).map(toRow),
  };
}

function toRow(raw: RawRow): QueueRow {
  return {
    row: raw.item,
    target: raw.target,
    item: { snapshot: toHex(raw.snapshot), seq: raw.seq },
    attempts: raw.attempts,
    nextTryNs: BigInt(raw.next_try_ns),
    lastError: raw.last_error ?? undefined,
  };
}
