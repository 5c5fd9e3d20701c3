import type { OwedIndex, OwedRow } from '../ports/beliefs.ts';
import type { Db } from './database.ts';

interface RawRow {
  readonly target: string;
  readonly seq: number;
  readonly since_ns: string;
  readonly attempts: number;
  readonly next_try_ns: string;
  readonly last_error: string | null;
}

const COLUMNS =
  'target, seq, CAST(since_ns AS TEXT) AS since_ns, attempts, CAST(next_try_ns AS TEXT) AS next_try_ns, last_error';

/** Work that is owed to targets: one row each. */
export function owedIndex(db: Db): OwedIndex {
  const row = db.prepare<[string], RawRow>(`SELECT ${COLUMNS} FROM owed WHERE target = ?`);
  const rows = db.prepare<[], RawRow>(`SELECT ${COLUMNS} FROM owed ORDER BY target`);
  const owe = db.prepare(
    'INSERT INTO owed (target, seq, since_ns) VALUES (?, ?, ?) ON CONFLICT (target) DO UPDATE SET seq = max(seq, excluded.seq)',
  );
  const failed = db.prepare(
    'UPDATE owed SET attempts = attempts + 1, last_error = ?, next_try_ns = ? WHERE target = ?',
  );
  const passed = db.prepare<[string, number]>('DELETE FROM owed WHERE target = ? AND seq <= ?');
  const stillOwed = db.prepare(
    'UPDATE owed SET attempts = 0, last_error = NULL, next_try_ns = 0 WHERE target = ? AND attempts > 0',
  );
  return {
    row: (target) => {
      const raw = row.get(target);
      return raw === undefined ? undefined : toRow(raw);
    },
    rows: () => rows.all().map(toRow),
    owe: db.transaction((targets: readonly string[], seq: number, nowNs: bigint) => {
      for (const target of targets) owe.run(target, seq, nowNs);
    }),
    failed: (target, error, nextTryNs) => void failed.run(error.slice(0, 1000), nextTryNs, target),
    passed: db.transaction((target: string, seq: number) => {
      if (passed.run(target, seq).changes === 0) stillOwed.run(target);
    }),
  };
}

function toRow(raw: RawRow): OwedRow {
  return {
    target: raw.target,
    seq: raw.seq,
    sinceNs: BigInt(raw.since_ns),
    attempts: raw.attempts,
    nextTryNs: BigInt(raw.next_try_ns),
    lastError: raw.last_error ?? undefined,
  };
}
