/**
 * Which forms are held, by which shard of which chain, and which ids a good frame of this store satisfies (docs/chain.md 1.6, 3.4). A row names the place
 * of its form: ids and digests are read from the bodies of the chain files.
 */
import { type Form, isDelta, isSameForm, KEY_FORMS_MAX, LISTED_FORMS_MAX } from '../chain/forms.ts';
import type { UnsatisfiedReason } from '../chain/statement.ts';
import { bytesEqual } from '../core/bytes.ts';
import type { ChunkId } from '../core/ids.ts';
import type { FrameLoss, FrameWatcher, GainedFrame } from '../core/ports/frame-watcher.ts';
import type { StoreName } from '../core/ports/index.ts';
import type { BodyBytes, ChainTable, HeldForm, HoldPlace, HoldTable, MissingReason } from '../ports/chain-index.ts';
import type { Db } from './database.ts';
import { type FormReader, formReader, type Held, NONE } from './form-reader.ts';
import type { FrameTable } from './frame-table.ts';
import { holdLookup } from './hold-lookup.ts';
import { key48 } from './key48.ts';
import { heldKeys, holdsOfKeys, LOOKED_UP_AT_ONCE, type RawHold } from './look-many-up.ts';
import { CODES, insertHolds, type NewForms, newHolds, SATISFIED } from './new-holds.ts';
import { partHolds } from './part-holds.ts';
import { type ShardCounts, type StateCode, shardTable } from './shard-table.ts';

/** Beyond the port: it hears of frames, within the transactions that change them. */
export interface HoldIndexTable extends HoldTable, FrameWatcher {}

export interface HoldIndexDeps {
  readonly chains: ChainTable;
  readonly bodies: BodyBytes;
  readonly frames: Pick<FrameTable, 'goodCopies' | 'hasIdentified' | 'copiesOfMany'>;
  /** Called within the transaction that marks a hold lost or unreadable, before it ends (docs/chain.md 4.1). */
  readonly noteLoss: () => void;
}

const REASONS: readonly (UnsatisfiedReason | undefined)[] = [undefined, 'wanted', 'lost', 'unreadable'];
/** A copy that was dropped on purpose was not lost: where it is owed again, the store wants it. */
const STATE_AFTER: Readonly<Record<FrameLoss, UnsatisfiedReason>> = {
  damaged: 'lost',
  absent: 'lost',
  unreadable: 'unreadable',
  dropped: 'wanted',
};

export function holdIndex(db: Db, deps: HoldIndexDeps): HoldIndexTable {
  const { frames } = deps;
  const shards = shardTable(db);
  const ofShard = db.prepare<[number, number], RawHold>(
    'SELECT key48, shard_ref, seq, position, state FROM holds WHERE key48 = ? AND shard_ref = ? ORDER BY seq, position',
  );
  const keysOf = heldKeys(db);
  const ofKeys = holdsOfKeys(db);
  const insert = db.prepare(insertHolds(1));
  const remove = db.prepare('DELETE FROM holds WHERE key48 = ? AND shard_ref = ? AND seq = ? AND position = ?');
  const setState = db.prepare(
    'UPDATE holds SET state = ? WHERE key48 = ? AND shard_ref = ? AND seq = ? AND position = ?',
  );
  const first = db
    .prepare<[number], number>('SELECT seq FROM holds WHERE shard_ref = ? AND state <> 0 ORDER BY seq LIMIT 1')
    .pluck();
  const anyUnsatisfied = db.prepare<[], number>('SELECT 1 FROM holds WHERE state <> 0 LIMIT 1').pluck();
  const unsatisfied = db.prepare<[number, number, number], RawHold>(
    'SELECT key48, shard_ref, seq, position, state FROM holds WHERE shard_ref = ? AND state <> 0 AND seq > ? ORDER BY seq LIMIT ?',
  );
  const unsatisfiedOf = db.prepare<[number, number], RawHold>(
    'SELECT key48, shard_ref, seq, position, state FROM holds WHERE shard_ref = ? AND state <> 0 AND seq = ?',
  );
  const ofByte = db.prepare<[number, number, number], HoldPlace>(
    'SELECT key48, seq, position FROM holds WHERE shard_ref = ? AND key48 >= ? AND key48 < ? ORDER BY key48, seq, position',
  );
  const undispute = db.prepare('DELETE FROM disputed WHERE key48 = ? AND chain = ? AND shard = ? AND id = ?');
  const others = holdLookup(db);
  const transaction = <T>(work: () => T): T => (db.inTransaction ? work() : db.transaction(work).immediate());

  const newReader = (): FormReader => formReader({ ...deps, shards });
  const heldOf = (chain: number, rows: readonly RawHold[], id: ChunkId): Held => newReader().heldOf(chain, rows, id);
  const isSatisfied = (id: ChunkId, forms: readonly (Form | undefined)[]): boolean =>
    frames.hasIdentified(id) || frames.goodCopies(id).some((copy) => forms.some((form) => isOf(copy, form)));
  const change = (row: RawHold, state: StateCode, counts: ShardCounts): void => {
    setState.run(state, row.key48, row.shard_ref, row.seq, row.position);
    counts.move(row.state, state);
  };

  const insertNew = newHolds(db, { frames, isSatisfied: (form) => isSatisfied(form.id, [form]) });
  const applyForm = (chain: number, form: Form, some: NewForms, missing: MissingReason, counts: ShardCounts): void => {
    const { ref, seq, position } = some;
    const [key] = some.keys as [number];
    const ofKey = ofShard.all(key, ref);
    // Before any form is read: whoever chooses ids would have all of them read for each.
    if (ofKey.length >= KEY_FORMS_MAX) return;
    const held = heldOf(chain, ofKey, form.id);
    if (held.rows.length === 0) {
      insertNew(some, missing, counts);
      return;
    }
    const isListed = held.forms.some((one) => one !== undefined && isSameForm(one, form));
    if (isDelta(form) || isListed || held.rows.length >= LISTED_FORMS_MAX) return;
    insert.run(key, ref, seq, position, SATISFIED);
    const [head] = held.rows;
    if (head!.state !== SATISFIED && isSatisfied(form.id, [form])) change(head!, SATISFIED, counts);
  };
  const applyAdd: HoldTable['applyAdd'] = (chain, shard, seq, forms, missing) =>
    transaction(() => {
      const ref = shards.refOf(chain, shard);
      const counts = shards.counts(ref);
      for (let position = 0; position < forms.length; position += LOOKED_UP_AT_ONCE) {
        const some = forms.slice(position, position + LOOKED_UP_AT_ONCE);
        const keys = some.map(({ id }) => key48(id));
        // Two forms of one id in one entry: the second one has to see the first.
        const areNew = keysOf(ref, keys).size === 0 && new Set(keys).size === keys.length;
        if (areNew) insertNew({ forms: some, keys, ref, seq, position }, missing, counts);
        else
          for (const [i, form] of some.entries()) {
            const one = { forms: [form], keys: [keys[i]!], ref, seq, position: position + i };
            applyForm(chain, form, one, missing, counts);
          }
      }
      counts.store();
    });

  return {
    ...partHolds(db, {
      shards,
      isSatisfied,
      idOf: (chain, row) => newReader().formOf(chain, row)?.id,
      stateOf: (chain, shard, id) => {
        const ref = shards.find(chain, shard);
        return ref === undefined ? undefined : heldOf(chain, ofShard.all(key48(id), ref), id).rows[0]?.state;
      },
      transaction,
    }),
    formAt: (chain, shard, seq, position) => {
      const ref = shards.find(chain, shard);
      return ref === undefined ? undefined : newReader().formOf(chain, { shard_ref: ref, seq, position });
    },
    shards: (chain) => shards.of(chain),
    shard: (chain, shard) => shards.one(chain, shard),
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
    formsOf: (chain, shard, id) => formsOf(chain, shard, [id])[0]!,
    formsOfMany: formsOf,
    stateOf: (chain, shard, id) => {
      const ref = shards.find(chain, shard);
      const [head] = ref === undefined ? [] : heldOf(chain, ofShard.all(key48(id), ref), id).rows;
      return head === undefined ? undefined : (REASONS[head.state] ?? 'satisfied');
    },
    isHeld: (chain, shard, ids) => {
      const out = new Uint8Array(ids.length);
      const ref = shards.find(chain, shard);
      if (ref === undefined) return out;
      const reader = newReader();
      for (let from = 0; from < ids.length; from += LOOKED_UP_AT_ONCE) {
        const keys = ids.slice(from, from + LOOKED_UP_AT_ONCE).map(key48);
        const found = keysOf(ref, keys);
        for (const [i, key] of keys.entries())
          if (found.has(key) && reader.heldOf(chain, ofShard.all(key, ref), ids[from + i]!).rows.length > 0)
            out[from + i] = 1;
      }
      return out;
    },
    hasKeys: (chain, shard, ids) => {
      const out = new Uint8Array(ids.length);
      const ref = shards.find(chain, shard);
      if (ref === undefined) return out;
      for (let from = 0; from < ids.length; from += LOOKED_UP_AT_ONCE) {
        const keys = ids.slice(from, from + LOOKED_UP_AT_ONCE).map(key48);
        const found = keysOf(ref, keys);
        for (const [i, key] of keys.entries()) if (found.has(key)) out[from + i] = 1;
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
      eachHeld(gained, isUnsatisfied, (frame, head, { forms }, counts) => {
        if (head.state === SATISFIED) return;
        if (frame.identified || forms.some((form) => isOf(frame, form))) change(head, SATISFIED, counts);
      });
    },
    lost: (ids: readonly ChunkId[], _store: StoreName, why: FrameLoss) => {
      const reason = STATE_AFTER[why];
      const lost = ids.map((id) => ({ id }));
      eachHeld(lost, undefined, ({ id }, head, { forms }, counts) => {
        // Unreadable becomes lost when the bytes turn out to be gone. Wanted stays: it never was here.
        const isWorse = head.state === CODES.unreadable && reason === 'lost';
        if ((head.state !== SATISFIED && !isWorse) || isSatisfied(id, forms)) return;
        if (reason !== 'wanted') deps.noteLoss();
        change(head, CODES[reason], counts);
      });
    },
  };

  function formsOf(chain: number, shard: number, ids: readonly ChunkId[]): HeldForm[][] {
    const ref = shards.find(chain, shard);
    const reader = newReader();
    return ids.map((id) => {
      const { rows, forms } = ref === undefined ? NONE : reader.heldOf(chain, ofShard.all(key48(id), ref), id);
      return rows.flatMap(({ seq, position }, i) =>
        forms[i] === undefined ? [] : [{ seq, position, form: forms[i] }],
      );
    });
  }

  /**
   * Each hold of each chunk, in whichever shard: with its first row, which has its state. `matters`: whether one of a
   * chunk's rows does.
   */
  function eachHeld<Chunk extends { readonly id: ChunkId }>(
    chunks: Iterable<Chunk>,
    matters: ((row: RawHold) => boolean) | undefined,
    work: (chunk: Chunk, head: RawHold, held: Held, counts: ShardCounts) => void,
  ): void {
    const reader = newReader();
    const counts = new Map<number, ShardCounts>();
    for (const some of groupsOf(chunks)) {
      const found = ofKeys(some.map(({ id }) => key48(id)));
      if (found.size === 0) continue;
      const seen = new Set<number>();
      for (const chunk of some) {
        const key = key48(chunk.id);
        // The same id twice: the second time it is looked up as it is then.
        const rows = seen.has(key) ? ofKeys([key]).get(key) : found.get(key);
        seen.add(key);
        if (matters !== undefined && rows?.some(matters) !== true) continue;
        for (const ref of new Set(rows?.map(({ shard_ref }) => shard_ref))) {
          const ofRef = rows!.filter(({ shard_ref }) => shard_ref === ref);
          const held = reader.heldOf(shards.chainOf(ref), ofRef, chunk.id);
          if (held.rows.length === 0) continue;
          let ofShardRef = counts.get(ref);
          if (ofShardRef === undefined) {
            ofShardRef = shards.counts(ref);
            counts.set(ref, ofShardRef);
          }
          work(chunk, held.rows[0]!, held, ofShardRef);
        }
      }
    }
    for (const one of counts.values()) one.store();
  }
}

function isUnsatisfied({ state }: RawHold): boolean {
  return state !== SATISFIED;
}

function* groupsOf<Item>(items: Iterable<Item>): Generator<Item[]> {
  let group: Item[] = [];
  for (const item of items) {
    group.push(item);
    if (group.length < LOOKED_UP_AT_ONCE) continue;
    yield group;
    group = [];
  }
  if (group.length > 0) yield group;
}

function isOf(frame: { readonly sealedSha256: Uint8Array }, form: Form | undefined): boolean {
  return form !== undefined && bytesEqual(frame.sealedSha256, form.sealedSha256);
}
