import type { PlacementIndex, TargetId } from '../core/ports/index.ts';
import type { Db } from './database.ts';

/** Which targets gave a receipt for which chunks. */
export function placementIndex(db: Db): PlacementIndex {
  const number = db.prepare<[string], number>('SELECT target FROM targets WHERE name = ?').pluck();
  const addTarget = db.prepare<[string]>('INSERT INTO targets (name) VALUES (?)');
  const find = db.prepare<[Uint8Array, number], number>('SELECT 1 FROM placements WHERE id = ? AND target = ?').pluck();
  // The time of the first receipt stays: it says how long the copy has been there.
  const add = db.prepare('INSERT OR IGNORE INTO placements (id, target, at_ns) VALUES (?, ?, ?)');
  const remove = db.prepare<[Uint8Array, number]>('DELETE FROM placements WHERE id = ? AND target = ?');
  const count = db.prepare('UPDATE targets SET placed = placed + ? WHERE target = ?');
  const verified = db.prepare('UPDATE placements SET verified_ns = ? WHERE id = ? AND target = ?');
  const placed = db.prepare<[string], number>('SELECT placed FROM targets WHERE name = ?').pluck();
  const of = db
    .prepare<[Uint8Array], { name: string; at_ns: bigint; verified_ns: bigint | null }>(
      'SELECT t.name, p.at_ns, p.verified_ns FROM placements p JOIN targets t USING (target) WHERE p.id = ? ORDER BY t.name',
    )
    .safeIntegers();
  const transaction = (work: () => void): void => db.transaction(work).immediate();
  const numberOf = (target: TargetId): number => number.get(target) ?? Number(addTarget.run(target).lastInsertRowid);

  return {
    placed: db.transaction((target: TargetId, ids: readonly Uint8Array[]) => {
      const out = new Uint8Array(ids.length);
      const known = number.get(target);
      if (known === undefined) return out;
      for (const [i, id] of ids.entries()) if (find.get(id, known) !== undefined) out[i] = 1;
      return out;
    }),
    addPlacements: (target, ids, atNs) =>
      transaction(() => {
        const known = numberOf(target);
        let added = 0;
        for (const id of ids) added += add.run(id, known, atNs).changes;
        count.run(added, known);
      }),
    removePlacements: (target, ids) =>
      transaction(() => {
        const known = numberOf(target);
        let removed = 0;
        for (const id of ids) removed += remove.run(id, known).changes;
        count.run(-removed, known);
      }),
    placementsOf: (id) =>
      of.all(id).map((row) => ({ target: row.name, atNs: row.at_ns, verifiedNs: row.verified_ns ?? undefined })),
    noteVerified: (target, ids, atNs) =>
      transaction(() => {
        const known = numberOf(target);
        for (const id of ids) verified.run(atNs, id, known);
      }),
    placedCount: (target) => placed.get(target) ?? 0,
  };
}
