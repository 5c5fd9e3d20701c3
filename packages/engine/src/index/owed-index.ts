/** Targets that lack something: one row a target (docs/chain.md 5.3). */
import type { OwedIndex, OwedRow } from '../ports/beliefs.ts';
import type { Db } from './database.ts';

interface RawOwed {
  readonly target: string;
  readonly seq: number;
  readonly since_ns: string;
  readonly attempts: number;
  readonly next_try_ns: string;
  readonly last_error: string | null;
}

const COLUMNS =
  'target, seq, CAST(since_ns AS TEXT) AS since_ns, attempts, CAST(next_try_ns AS TEXT) AS next_try_ns, last_error';

export function owedIndex(db: Db): OwedIndex {
  const one = db.prepare<[string], RawOwed>(`SELECT ${COLUMNS} FROM owed WHERE target = ?`);
  const all = db.prepare<[], RawOwed>(`SELECT ${COLUMNS} FROM owed ORDER BY target`);
  const owe = db.prepare(
    'INSERT INTO owed (target, seq, since_ns) VALUES (?, ?, ?) ON CONFLICT (target) DO UPDATE SET seq = max(seq, excluded.seq)',
  );
  const failed = db.prepare(
    'UPDATE owed SET attempts = attempts + 1, last_error = ?, next_try_ns = ? WHERE target = ?',
  );
  const remove = db.prepare('DELETE FROM owed WHERE target = ? AND seq <= ?');
  const passed = db.prepare(
    'UPDATE owed SET attempts = 0, last_error = NULL, next_try_ns = 0 WHERE target = ? AND seq > ?',
  );
  const transaction = (work: () => void): void => (db.inTransaction ? work() : db.transaction(work).immediate());
  return {
    row: (target) => {
      const raw = one.get(target);
      return raw === undefined ? undefined : toRow(raw);
    },
    rows: () => all.all().map(toRow),
    owe: (targets, seq, nowNs) =>
      transaction(() => {
        for (const target of targets) owe.run(target, seq, nowNs);
      }),
    failed: (target, error, nextTryNs) => void failed.run(error.slice(0, 1000), nextTryNs, target),
    passed: (target, seq) =>
      transaction(() => {
        remove.run(target, seq);
        passed.run(target, seq);
      }),
  };
}

function toRow(raw: RawOwed): OwedRow {
  return {
    target: raw.target,
    seq: raw.seq,
    sinceNs: BigInt(raw.since_ns),
    attempts: raw.attempts,
    nextTryNs: BigInt(raw.next_try_ns),
    lastError: raw.last_error ?? undefined,
  };
}
