import { type AgentId, fromHex, toHex } from '../core/ids.ts';
import type { ReleasedFrame, ReleasedIndex } from '../ports/released.ts';
import type { Db } from './database.ts';

interface RawRow {
  readonly id: Buffer;
  readonly sealed_bytes: number;
}

/** Frames that nobody holds any more, until their grace is over. */
export function releasedIndex(db: Db): ReleasedIndex {
  const add = db.prepare(
    'INSERT OR IGNORE INTO released (id, owner, sealed_bytes, running_ns, passes) VALUES (?, ?, ?, ?, ?)',
  );
  const remove = db.prepare<[Uint8Array]>('DELETE FROM released WHERE id = ?');
  const due = db.prepare<[Uint8Array, bigint, number, number], RawRow>(
    'SELECT id, sealed_bytes FROM released WHERE owner = ? AND running_ns <= ? AND passes <= ? LIMIT ?',
  );
  const totals = db.prepare<[Uint8Array], { frames: number; bytes: number }>(
    'SELECT count(*) AS frames, coalesce(sum(sealed_bytes), 0) AS bytes FROM released WHERE owner = ?',
  );
  const owners = db.prepare<[], Buffer>('SELECT DISTINCT owner FROM released').pluck();
  const ownerOf = (agent: AgentId): Uint8Array => fromHex(agent, 16);
  return {
    note: db.transaction((frames: readonly ReleasedFrame[], at: { runningNs: bigint; passes: number }) => {
      for (const { id, owner, sealedBytes } of frames)
        add.run(id, ownerOf(owner), sealedBytes, at.runningNs, at.passes);
    }),
    forget: db.transaction((ids: readonly Uint8Array[]) => {
      for (const id of ids) remove.run(id);
    }),
    due: (owner, until, limit) =>
      due
        .all(ownerOf(owner), until.runningNs, until.passes, limit)
        .map((row) => ({ id: new Uint8Array(row.id), owner, sealedBytes: row.sealed_bytes })),
    totals: (owner) => totals.get(ownerOf(owner))!,
    owners: () => owners.all().map((owner) => toHex(owner)),
  };
}
