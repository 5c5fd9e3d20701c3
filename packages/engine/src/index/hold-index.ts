/**
 * Which forms are held, by which shard of which chain, and which ids a good frame of this store satisfies (docs/chain.md 1.6, 3.4). A row names the place
 * of its form: ids and digests are read from the bodies of the chain files.
 */
import { type Form, isDelta, isSameForm, LISTED_FORMS_MAX } from '../chain/forms.ts';
import type { UnsatisfiedReason } from '../chain/statement.ts';
import { bytesEqual } from '../core/bytes.ts';
import type { ChunkId } from '../core/ids.ts';
import type { FrameLoss, FrameWatcher, GainedFrame } from '../core/ports/frame-watcher.ts';
import type { StoreName } from '../core/ports/index.ts';
import type { BodyBytes, ChainTable, HeldForm, HoldPlace, HoldTable } from '../ports/chain-index.ts';
import type { Db } from './database.ts';
import type { FrameTable } from './frame-table.ts';
import { type Held, holdForms, NONE, type RawHold } from './hold-forms.ts';
import { holdLookup } from './hold-lookup.ts';
import { key48 } from './key48.ts';
import { partHolds } from './part-holds.ts';
import { type ShardCounts, type StateCode, shardTable } from './shard-table.ts';

/** Beyond the port: it hears of frames, within the transactions that change them. */
export interface HoldIndexTable extends HoldTable, FrameWatcher {}

export interface HoldIndexDeps {
  readonly chains: ChainTable;
  readonly bodies: BodyBytes;
  readonly frames: Pick<FrameTable, 'goodCopies' | 'hasIdentified'>;
  /** Called within the transaction that marks a hold lost or unreadable, before it ends (docs/chain.md 4.1). */
  readonly noteLoss: () => void;
}

const SATISFIED = 0;
const CODES: Readonly<Record<UnsatisfiedReason, StateCode>> = { wanted: 1, lost: 2, unreadable: 3 };
const REASONS: readonly (UnsatisfiedReason | undefined)[] = [undefined, 'wanted', 'lost', 'unreadable'];
/** A copy that was dropped on purpose was not lost: where it is owed again, the store wants it. */
const STATE_AFTER: Readonly<Record<FrameLoss, UnsatisfiedReason>> = {
  damaged: 'lost',
  absent: 'lost',
  unreadable: 'unreadable',
  dropped: 'wanted',
};

export function holdIndex(db: Db, deps: HoldIndexDeps): HoldIndexTable {
  const { chains, frames } = deps;
  const shards = shardTable(db);
  const ofShard = db.prepare<[number, number], RawHold>(
    'SELECT shard_ref, seq, position, state FROM holds WHERE key48 = ? AND shard_ref = ? ORDER BY seq, position',
  );
  const hasKey = db
    .prepare<[number, number], number>('SELECT 1 FROM holds WHERE key48 = ? AND shard_ref = ? LIMIT 1')
    .pluck();
  const ofAny = db.prepare<[number], RawHold>(
    'SELECT shard_ref, seq, position, state FROM holds WHERE key48 = ? ORDER BY shard_ref, seq, position',
  );
  const insert = db.prepare(insertOf(1));
  const insertMany = db.prepare(insertOf(ROWS_AT_ONCE));
  const remove = db.prepare('DELETE FROM holds WHERE key48 = ? AND shard_ref = ? AND seq = ? AND position = ?');
  const setState = db.prepare(
    'UPDATE holds SET state = ? WHERE key48 = ? AND shard_ref = ? AND seq = ? AND position = ?',
  );
  const first = db
    .prepare<[number], number>('SELECT seq FROM holds WHERE shard_ref = ? AND state <> 0 ORDER BY seq LIMIT 1')
    .pluck();
  const anyUnsatisfied = db.prepare<[], number>('SELECT 1 FROM holds WHERE state <> 0 LIMIT 1').pluck();
  const unsatisfied = db.prepare<[number, number, number], RawHold>(
    'SELECT shard_ref, seq, position, state FROM holds WHERE shard_ref = ? AND state <> 0 AND seq > ? ORDER BY seq LIMIT ?',
  );
  const unsatisfiedOf = db.prepare<[number, number], RawHold>(
    'SELECT shard_ref, seq, position, state FROM holds WHERE shard_ref = ? AND state <> 0 AND seq = ?',
  );
  const ofByte = db.prepare<[number, number, number], HoldPlace>(
    'SELECT key48, seq, position FROM holds WHERE shard_ref = ? AND key48 >= ? AND key48 < ? ORDER BY key48, seq, position',
  );
  const undispute = db.prepare('DELETE FROM disputed WHERE key48 = ? AND chain = ? AND shard = ? AND id = ?');
  const others = holdLookup(db);
  const transaction = <T>(work: () => T): T => (db.inTransaction ? work() : db.transaction(work).immediate());

  const { formOf, heldOf } = holdForms(chains, shards, deps.bodies);
  const isSatisfied = (id: ChunkId, forms: readonly (Form | undefined)[]): boolean =>
    frames.hasIdentified(id) || frames.goodCopies(id).some((copy) => forms.some((form) => isOf(copy, form)));
  const change = (key: number, row: RawHold, state: StateCode, counts: ShardCounts): void => {
    setState.run(state, key, row.shard_ref, row.seq, row.position);
    counts.move(row.state, state);
  };

  const applyAdd: HoldTable['applyAdd'] = (chain, shard, seq, forms, missing) =>
    transaction(() => {
      const ref = shards.refOf(chain, shard);
      const counts = shards.counts(ref);
      let values: number[] = [];
      const keys = new Set<number>();
      const flush = (): void => {
        if (values.length === ROWS_AT_ONCE * COLUMNS) insertMany.run(values);
        else for (let at = 0; at < values.length; at += COLUMNS) insert.run(values.slice(at, at + COLUMNS));
        values = [];
        keys.clear();
      };
      for (const [position, form] of forms.entries()) {
        const key = key48(form.id);
        // Two forms of one id in one entry: the second one has to see the first.
        if (keys.has(key)) flush();
        // Nearly every form is of a new chunk: then no row has its key.
        const held = hasKey.get(key, ref) === undefined ? NONE : heldOf(chain, ofShard.all(key, ref), form.id);
        if (held.rows.length === 0) {
          const reason = typeof missing === 'function' ? missing(seq, position) : missing;
          const state = isSatisfied(form.id, [form]) ? SATISFIED : CODES[reason];
          values.push(key, ref, seq, position, state);
          keys.add(key);
          counts.add(state);
          if (keys.size === ROWS_AT_ONCE) flush();
          continue;
        }
        const isListed = held.forms.some((one) => one !== undefined && isSameForm(one, form));
        if (isDelta(form) || isListed || held.rows.length >= LISTED_FORMS_MAX) continue;
        insert.run(key, ref, seq, position, SATISFIED);
        const [head] = held.rows;
        if (head!.state !== SATISFIED && isSatisfied(form.id, [form])) change(key, head!, SATISFIED, counts);
      }
      flush();
      counts.store();
    });

  return {
    ...partHolds(db, {
      shards,
      isSatisfied,
      idOf: (chain, row) => formOf(chain, { ...row, state: SATISFIED })?.id,
      stateOf: (chain, shard, id) => {
        const ref = shards.find(chain, shard);
        return ref === undefined ? undefined : heldOf(chain, ofShard.all(key48(id), ref), id).rows[0]?.state;
      },
      transaction,
    }),
    formAt: (chain, shard, seq, position) => {
      const ref = shards.find(chain, shard);
      return ref === undefined ? undefined : formOf(chain, { shard_ref: ref, seq, position, state: SATISFIED });
    },
    shards: (chain) => shards.of(chain),
    noteShard: (chain, shard) => void shards.refOf(chain, shard),
    applyAdd,
    applyRelease: (chain, shard, ids) =>
      transaction(() => {
        const ref = shards.refOf(chain, shard);
        const counts = shards.counts(ref);
        let released = 0;
        for (const id of ids) {
          const key = key48(id);
          const rows = ofShard.all(key, ref);
          undispute.run(key, chain, shard, id);
          const held = rows.length === 0 ? NONE : heldOf(chain, rows, id);
          if (held.rows.length === 0) continue;
          for (const row of held.rows) remove.run(key, ref, row.seq, row.position);
          counts.remove(held.rows[0]!.state);
          released++;
        }
        counts.store();
        return released;
      }),
    formsOf: (chain, shard, id) => {
      const ref = shards.find(chain, shard);
      if (ref === undefined) return [];
      const { rows, forms } = heldOf(chain, ofShard.all(key48(id), ref), id);
      const out: HeldForm[] = [];
      for (const [i, { seq, position }] of rows.entries())
        if (forms[i] !== undefined) out.push({ seq, position, form: forms[i] });
      return out;
    },
    stateOf: (chain, shard, id) => {
      const ref = shards.find(chain, shard);
      const [head] = ref === undefined ? [] : heldOf(chain, ofShard.all(key48(id), ref), id).rows;
      return head === undefined ? undefined : (REASONS[head.state] ?? 'satisfied');
    },
    isHeld: (chain, shard, ids) => {
      const out = new Uint8Array(ids.length);
      const ref = shards.find(chain, shard);
      if (ref === undefined) return out;
      for (const [i, id] of ids.entries()) {
        const key = key48(id);
        if (hasKey.get(key, ref) !== undefined && heldOf(chain, ofShard.all(key, ref), id).rows.length > 0) out[i] = 1;
      }
      return out;
    },
    firstUnsatisfied: (chain, shard) => {
      const ref = shards.find(chain, shard);
      return ref === undefined ? undefined : first.get(ref);
    },
    unsatisfied: (chain, shard, afterSeq, entriesMax) => {
      const ref = shards.find(chain, shard);
      const out: { seq: number; position: number; reason: UnsatisfiedReason }[] = [];
      if (ref === undefined) return out;
      let after = afterSeq;
      for (let entries = 0; entries < entriesMax; entries++) {
        const next = unsatisfied.get(ref, after, 1);
        if (next === undefined) break;
        const rows = unsatisfiedOf.all(ref, next.seq).sort((a, b) => a.position - b.position);
        for (const { seq, position, state } of rows) out.push({ seq, position, reason: REASONS[state]! });
        after = next.seq;
      }
      return out;
    },
    isHeldByOthers: others.isHeld,
    baseOf: (chain, shard) => {
      const ref = shards.find(chain, shard);
      return ref === undefined ? 0 : shards.baseOf(ref);
    },
    rowsOfByte: (chain, shard, byte) => {
      const ref = shards.find(chain, shard);
      return ref === undefined ? [] : ofByte.all(ref, byte * 2 ** 40, (byte + 1) * 2 ** 40);
    },
    clear: (chain, shard) => transaction(() => shards.clear(chain, shard)),

    gained: (gained: Iterable<GainedFrame>) => {
      // The usual case of a capture: nothing waits for a frame.
      if (anyUnsatisfied.get() === undefined) return;
      for (const frame of gained) {
        const key = key48(frame.id);
        const rows = ofAny.all(key);
        if (!rows.some(({ state }) => state !== SATISFIED)) continue;
        for (const { ref, held } of byShard(rows, frame.id)) {
          const [head] = held.rows;
          if (head === undefined || head.state === SATISFIED) continue;
          if (!frame.identified && !held.forms.some((form) => isOf(frame, form))) continue;
          const counts = shards.counts(ref);
          change(key, head, SATISFIED, counts);
          counts.store();
        }
      }
    },
    lost: (ids: readonly ChunkId[], _store: StoreName, why: FrameLoss) => {
      const reason = STATE_AFTER[why];
      for (const id of ids) {
        const key = key48(id);
        for (const { ref, held } of byShard(ofAny.all(key), id)) {
          const [head] = held.rows;
          // Unreadable becomes lost when the bytes turn out to be gone. Wanted stays: it never was here.
          const isWorse = head?.state === CODES.unreadable && reason === 'lost';
          if (head === undefined || (head.state !== SATISFIED && !isWorse)) continue;
          if (isSatisfied(id, held.forms)) continue;
          if (reason !== 'wanted') deps.noteLoss();
          const counts = shards.counts(ref);
          change(key, head, CODES[reason], counts);
          counts.store();
        }
      }
    },
  };

  function byShard(rows: readonly RawHold[], id: ChunkId): { readonly ref: number; readonly held: Held }[] {
    const refs = [...new Set(rows.map(({ shard_ref }) => shard_ref))];
    return refs.map((ref) => ({
      ref,
      held: heldOf(
        shards.chainOf(ref),
        rows.filter(({ shard_ref }) => shard_ref === ref),
        id,
      ),
    }));
  }
}

/** Rows of one INSERT: the cost of a call into SQLite is shared by them. */
const ROWS_AT_ONCE = 32;
const COLUMNS = 5;

function insertOf(rows: number): string {
  return `INSERT INTO holds (key48, shard_ref, seq, position, state) VALUES ${Array(rows).fill('(?, ?, ?, ?, ?)').join(', ')}`;
}

function isOf(frame: { readonly sealedSha256: Uint8Array }, form: Form | undefined): boolean {
  return form !== undefined && bytesEqual(frame.sealedSha256, form.sealedSha256);
}
