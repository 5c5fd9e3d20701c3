/**
 * Which forms are held, by which shard of which chain, and which ids a good frame of this store satisfies (docs/chain.md 1.6, 3.4). A row names the place
 * of its form: ids and digests are read from the bodies of the chain files.
 */
import { FORM_BYTES, type Form, formAt, isDelta, isSameForm, LISTED_FORMS_MAX } from '../chain/forms.ts';
import type { UnsatisfiedReason } from '../chain/statement.ts';
import { asBuffer, bytesEqual } from '../core/bytes.ts';
import { EdgeError } from '../core/errors.ts';
import type { ChunkId } from '../core/ids.ts';
import type { FrameLoss, FrameWatcher, GainedFrame } from '../core/ports/frame-watcher.ts';
import type { StoreName } from '../core/ports/index.ts';
import type { BodyBytes, ChainTable, HeldForm, HoldTable, MissingReason } from '../ports/chain-index.ts';
import type { Db } from './database.ts';
import type { FrameTable } from './frame-table.ts';
import { holdLookup } from './hold-lookup.ts';
import { key48 } from './key48.ts';
import { heldKeys, LOOKED_UP_AT_ONCE } from './look-many-up.ts';
import { CODES, insertHolds, type NewForms, newHolds, SATISFIED } from './new-holds.ts';
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

interface RawHold {
  readonly shard_ref: number;
  readonly seq: number;
  readonly position: number;
  readonly state: StateCode;
}

/** Rows of one id, with their forms where those can be read. */
interface Held {
  readonly rows: RawHold[];
  readonly forms: (Form | undefined)[];
}

export function holdIndex(db: Db, deps: HoldIndexDeps): HoldIndexTable {
  const { chains, frames } = deps;
  const shards = shardTable(db);
  const ofShard = db.prepare<[number, number], RawHold>(
    'SELECT shard_ref, seq, position, state FROM holds WHERE key48 = ? AND shard_ref = ? ORDER BY seq, position',
  );
  const keysOf = heldKeys(db);
  const ofAny = db.prepare<[number], RawHold>(
    'SELECT shard_ref, seq, position, state FROM holds WHERE key48 = ? ORDER BY shard_ref, seq, position',
  );
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
    'SELECT shard_ref, seq, position, state FROM holds WHERE shard_ref = ? AND state <> 0 AND seq > ? ORDER BY seq LIMIT ?',
  );
  const unsatisfiedOf = db.prepare<[number, number], RawHold>(
    'SELECT shard_ref, seq, position, state FROM holds WHERE shard_ref = ? AND state <> 0 AND seq = ?',
  );
  const others = holdLookup(db);
  const transaction = <T>(work: () => T): T => (db.inTransaction ? work() : db.transaction(work).immediate());

  /** Undefined where the body cannot be read now: damage there is found by whoever reads the chain. */
  const formOf = (chain: number, row: RawHold): Form | undefined => {
    const entry = chains.entry(chain, row.seq);
    const place = entry === undefined ? undefined : chains.placeOf(entry);
    if (place === undefined || (row.position + 1) * FORM_BYTES > place.bytes) return undefined;
    try {
      return formAt(deps.bodies.read(place, row.position * FORM_BYTES, FORM_BYTES), 0);
    } catch (error) {
      if (error instanceof EdgeError && ['E_FORMAT', 'E_INTEGRITY'].includes(error.code)) return undefined;
      throw error;
    }
  };
  /**
   * The rows of exactly this id. Where a form cannot be read, its row counts as the id's: two ids with one key are rare, and a hold that is taken for
   * another one's is worse.
   */
  const heldOf = (chain: number, rows: readonly RawHold[], id: ChunkId): Held => {
    const held: Held = { rows: [], forms: [] };
    for (const row of rows) {
      const form = formOf(chain, row);
      if (form !== undefined && !asBuffer(form.id).equals(id)) continue;
      held.rows.push(row);
      held.forms.push(form);
    }
    return held;
  };
  const isSatisfied = (id: ChunkId, forms: readonly (Form | undefined)[]): boolean =>
    frames.hasIdentified(id) || frames.goodCopies(id).some((copy) => forms.some((form) => isOf(copy, form)));
  const change = (key: number, row: RawHold, state: StateCode, counts: ShardCounts): void => {
    setState.run(state, key, row.shard_ref, row.seq, row.position);
    counts.move(row.state, state);
  };

  const insertNew = newHolds(db, { frames, isSatisfied: (form) => isSatisfied(form.id, [form]) });
  const applyForm = (chain: number, form: Form, some: NewForms, missing: MissingReason, counts: ShardCounts): void => {
    const { ref, seq, position } = some;
    const [key] = some.keys as [number];
    const held = heldOf(chain, ofShard.all(key, ref), form.id);
    if (held.rows.length === 0) {
      insertNew(some, missing, counts);
      return;
    }
    const isListed = held.forms.some((one) => one !== undefined && isSameForm(one, form));
    if (isDelta(form) || isListed || held.rows.length >= LISTED_FORMS_MAX) return;
    insert.run(key, ref, seq, position, SATISFIED);
    const [head] = held.rows;
    if (head!.state !== SATISFIED && isSatisfied(form.id, [form])) change(key, head!, SATISFIED, counts);
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
      for (let from = 0; from < ids.length; from += LOOKED_UP_AT_ONCE) {
        const keys = ids.slice(from, from + LOOKED_UP_AT_ONCE).map(key48);
        const found = keysOf(ref, keys);
        for (const [i, key] of keys.entries())
          if (found.has(key) && heldOf(chain, ofShard.all(key, ref), ids[from + i]!).rows.length > 0) out[from + i] = 1;
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

const NONE: Held = { rows: [], forms: [] };

function isOf(frame: { readonly sealedSha256: Uint8Array }, form: Form | undefined): boolean {
  return form !== undefined && bytesEqual(frame.sealedSha256, form.sealedSha256);
}
