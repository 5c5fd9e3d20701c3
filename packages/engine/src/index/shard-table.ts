/** Shards of chains by number, with their counts. */
import type { ShardRow } from '../ports/chain-index.ts';
import type { Db } from './database.ts';

/** 0 satisfied, 1 wanted, 2 lost, 3 unreadable. */
export type StateCode = 0 | 1 | 2 | 3;

/** Changes of one shard's counts, collected while its rows are changed. */
export interface ShardCounts {
  add(state: StateCode): void;
  remove(state: StateCode): void;
  move(from: StateCode, to: StateCode): void;
  store(): void;
}

export interface ShardTable {
  find(chain: number, shard: number): number | undefined;
  /** The number of the shard, which is made where it is not known. */
  refOf(chain: number, shard: number): number;
  chainOf(ref: number): number;
  /** The as-of seq of the parts that rows of the shard lie in; 0 for none. */
  baseOf(ref: number): number;
  setBase(ref: number, asOfSeq: number): void;
  /** The shard's number, below 0 while its rows are being joined. */
  numberOf(ref: number): number;
  rename(ref: number, shard: number): void;
  counts(ref: number): ShardCounts;
  of(chain: number): ShardRow[];
  one(chain: number, shard: number): ShardRow | undefined;
  /** Forgets one shard of the chain, or all. */
  clear(chain: number, shard?: number): void;
}

export function shardTable(db: Db): ShardTable {
  const find = db
    .prepare<[number, number], number>('SELECT shard_ref FROM shards WHERE chain = ? AND shard = ?')
    .pluck();
  const insert = db.prepare('INSERT INTO shards (chain, shard) VALUES (?, ?)');
  const chainOf = db.prepare<[number], number>('SELECT chain FROM shards WHERE shard_ref = ?').pluck();
  const baseOf = db.prepare<[number], number>('SELECT base_seq FROM shards WHERE shard_ref = ?').pluck();
  const setBase = db.prepare('UPDATE shards SET base_seq = ? WHERE shard_ref = ?');
  const numberOf = db.prepare<[number], number>('SELECT shard FROM shards WHERE shard_ref = ?').pluck();
  const rename = db.prepare('UPDATE shards SET shard = ? WHERE shard_ref = ?');
  const add = db.prepare(
    'UPDATE shards SET held = held + ?, wanted = wanted + ?, lost = lost + ?, unreadable = unreadable + ? WHERE shard_ref = ?',
  );
  const of = db.prepare<[number], ShardRow>(
    'SELECT chain, shard, held, wanted, lost, unreadable FROM shards WHERE chain = ? AND shard > 0 ORDER BY shard',
  );
  const one = db.prepare<[number, number], ShardRow>(
    'SELECT chain, shard, held, wanted, lost, unreadable FROM shards WHERE chain = ? AND shard = ?',
  );
  const removeHolds = db.prepare('DELETE FROM holds WHERE shard_ref = ?');
  const remove = db.prepare('DELETE FROM shards WHERE shard_ref = ?');
  const refs = db.prepare<[number], { shard_ref: number; shard: number }>(
    'SELECT shard_ref, shard FROM shards WHERE chain = ?',
  );
  return {
    find: (chain, shard) => find.get(chain, shard),
    refOf: (chain, shard) => find.get(chain, shard) ?? Number(insert.run(chain, shard).lastInsertRowid),
    chainOf: (ref) => chainOf.get(ref)!,
    baseOf: (ref) => baseOf.get(ref)!,
    setBase: (ref, asOfSeq) => void setBase.run(asOfSeq, ref),
    numberOf: (ref) => numberOf.get(ref)!,
    rename: (ref, shard) => void rename.run(shard, ref),
    counts: (ref) => {
      /** By state; all held ids are the sum. */
      const delta = [0, 0, 0, 0];
      return {
        add: (state) => void delta[state]!++,
        remove: (state) => void delta[state]!--,
        move: (from, to) => {
          delta[from]!--;
          delta[to]!++;
        },
        store: () => {
          if (delta.every((one) => one === 0)) return;
          const [satisfied, wanted, lost, unreadable] = delta as [number, number, number, number];
          add.run(satisfied + wanted + lost + unreadable, wanted, lost, unreadable, ref);
          delta.fill(0);
        },
      };
    },
    of: (chain) => of.all(chain),
    one: (chain, shard) => one.get(chain, shard),
    clear: (chain, shard) => {
      for (const { shard_ref, shard: number } of refs.all(chain)) {
        if (shard !== undefined && number !== shard) continue;
        removeHolds.run(shard_ref);
        remove.run(shard_ref);
      }
    },
  };
}
