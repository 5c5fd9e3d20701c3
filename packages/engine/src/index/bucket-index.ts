import type { ChunkId } from '../core/ids.ts';
import type { FrameLoss, FrameWatcher } from '../core/ports/frame-watcher.ts';
import type { StoreName, TargetId } from '../core/ports/index.ts';
import type { BucketIndex, KnownSegment, LackingForms } from '../ports/bucket-index.ts';
import type { Db } from './database.ts';
import { key48 } from './key48.ts';

export interface BucketIndexTable extends BucketIndex {
  /** Notes what a bucket lost, in the transaction that changes its rows. */
  readonly watcher: FrameWatcher;
}

/** Where the own chain holds a chunk: its add entries and positions in them. More than the chunk's own may be answered. */
export type PlacesOf = (
  id: ChunkId,
) => readonly { readonly shard: number; readonly seq: number; readonly position: number }[];

/** From the holds of the own chain. A chance collision of keys names a form too many, which the next job finds to be there. */
export function ownPlaces(db: Db): PlacesOf {
  const find = db.prepare<[number], { shard: number; seq: number; position: number }>(
    `SELECT s.shard, h.seq, h.position FROM holds h JOIN shards s USING (shard_ref) JOIN chains c USING (chain)
     WHERE h.key48 = ? AND c.is_own = 1 AND c.parent IS NULL`,
  );
  return (id) => find.all(key48(id));
}

/** What buckets lack of the own chain, as bits of the forms of each add entry, and which segments lie there. */
export function bucketIndex(db: Db, placesOf: PlacesOf): BucketIndexTable {
  const compared = db.prepare<[string], number>('SELECT compared_seq FROM bucket_targets WHERE target = ?').pluck();
  const targets = db.prepare<[], string>('SELECT target FROM bucket_targets').pluck();
  const setCompared = db.prepare<[string, number]>(
    'INSERT INTO bucket_targets (target, compared_seq) VALUES (?, ?) ON CONFLICT (target) DO UPDATE SET compared_seq = excluded.compared_seq',
  );
  const find = db
    .prepare<[string, number], Buffer>('SELECT lacks FROM bucket_lacks WHERE target = ? AND seq = ?')
    .pluck();
  const put = db.prepare<[string, number, number, Uint8Array]>(
    'INSERT INTO bucket_lacks (target, seq, shard, lacks) VALUES (?, ?, ?, ?) ON CONFLICT (target, seq) DO UPDATE SET lacks = excluded.lacks',
  );
  const remove = db.prepare<[string, number]>('DELETE FROM bucket_lacks WHERE target = ? AND seq = ?');
  const page = db.prepare<[string, number, number], { seq: number; shard: number; lacks: Buffer }>(
    'SELECT seq, shard, lacks FROM bucket_lacks WHERE target = ? AND seq > ? ORDER BY seq LIMIT ?',
  );
  const first = db
    .prepare<[string, number], number>(
      'SELECT seq FROM bucket_lacks WHERE target = ? AND shard = ? ORDER BY seq LIMIT 1',
    )
    .pluck();
  const all = db.prepare<[string], Buffer>('SELECT lacks FROM bucket_lacks WHERE target = ?').pluck();
  const segments = db.prepare<[string], KnownSegment>(
    'SELECT incarnation, first, last, sha256, bytes FROM bucket_segments WHERE target = ? ORDER BY incarnation, last, first, sha256',
  );
  const addSegment = db.prepare(
    'INSERT OR REPLACE INTO bucket_segments (target, incarnation, last, first, sha256, bytes) VALUES (?, ?, ?, ?, ?, ?)',
  );
  const removeSegment = db.prepare(
    'DELETE FROM bucket_segments WHERE target = ? AND incarnation = ? AND last = ? AND first = ? AND sha256 = ?',
  );
  const forget = ['bucket_targets', 'bucket_lacks', 'bucket_segments'].map((table) =>
    db.prepare<[string]>(`DELETE FROM ${table} WHERE target = ?`),
  );
  const transaction = (work: () => void): void => db.transaction(work).immediate();

  const change = (target: TargetId, { shard, seq, positions }: LackingForms, lacks: boolean): void => {
    const before = find.get(target, seq);
    if (before === undefined && !lacks) return;
    const after = withBits(before ?? Buffer.alloc(0), positions, lacks);
    if (after.length === 0) remove.run(target, seq);
    else put.run(target, seq, shard, after);
  };

  const noteLost = (ids: readonly ChunkId[], store: StoreName, why: FrameLoss): void => {
    // An error now says nothing about what lies there.
    if (store === '' || why === 'unreadable') return;
    for (const target of targets.all()) {
      if (storeOf(target) !== store) continue;
      for (const id of ids) {
        for (const { shard, seq, position } of placesOf(id))
          change(target, { shard, seq, positions: [position] }, true);
      }
    }
  };

  return {
    comparedUntil: (target) => compared.get(target) ?? 0,
    noteLacking: (target, lacking, untilSeq) =>
      transaction(() => {
        for (const forms of lacking) change(target, forms, true);
        setCompared.run(target, untilSeq);
      }),
    lacking: (target, afterSeq, entriesMax) =>
      page
        .all(target, afterSeq, entriesMax)
        .map(({ seq, shard, lacks }) => ({ seq, shard, positions: positionsOf(lacks) })),
    clearLacking: (target, forms) =>
      transaction(() => {
        for (const one of forms) change(target, one, false);
      }),
    firstLacking: (target, shard) => first.get(target, shard),
    lackingCount: (target) => {
      let count = 0;
      for (const lacks of all.iterate(target)) for (let byte of lacks) for (; byte !== 0; byte &= byte - 1) count++;
      return count;
    },
    segments: (target) => segments.all(target),
    addSegments: (target, added) =>
      transaction(() => {
        for (const { incarnation, last, first: from, sha256, bytes } of added)
          addSegment.run(target, incarnation, last, from, sha256, bytes);
      }),
    removeSegments: (target, gone) =>
      transaction(() => {
        for (const { incarnation, last, first: from, sha256 } of gone)
          removeSegment.run(target, incarnation, last, from, sha256);
      }),
    forget: (target) =>
      transaction(() => {
        for (const statement of forget) statement.run(target);
      }),
    watcher: {
      // Gained frames are found by the next job, which looks at each form that it would send.
      gained: () => {},
      lost: noteLost,
    },
  };
}

/** `store:<name>` and `store-meta:<name>` are targets in the store `<name>`. */
function storeOf(target: TargetId): StoreName {
  return target.slice(target.indexOf(':') + 1);
}

function positionsOf(bits: Uint8Array): number[] {
  const positions: number[] = [];
  for (const [byte, value] of bits.entries()) {
    for (let bit = 0; bit < 8; bit++) if ((value & (1 << bit)) !== 0) positions.push(byte * 8 + bit);
  }
  return positions;
}

/** Without zero bytes at its end: empty when no bit is set. */
function withBits(before: Uint8Array, positions: readonly number[], isSet: boolean): Uint8Array {
  const highest = isSet ? positions.reduce((max, position) => Math.max(max, position), -1) : -1;
  const after = Buffer.alloc(Math.max(before.length, (highest >> 3) + 1));
  after.set(before);
  for (const position of positions) {
    const byte = position >> 3;
    if (byte >= after.length) continue;
    after[byte] = isSet ? after[byte]! | (1 << (position & 7)) : after[byte]! & ~(1 << (position & 7));
  }
  let end = after.length;
  while (end > 0 && after[end - 1] === 0) end--;
  return after.subarray(0, end);
}
