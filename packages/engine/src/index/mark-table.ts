import { fromHex, type PackName, toHex } from '../core/ids.ts';
import type { StoreLoss, StoreName } from '../core/ports/index.ts';
import type { MissReason } from '../core/ports/sealed-source.ts';
import type { Db } from './database.ts';

/** Of `frames.state`, and of the marks that say why. */
export const GOOD = 0;
const STATES: Readonly<Record<MissReason, number>> = { damaged: 1, absent: 2, unreadable: 3 };

export function stateOfReason(reason: MissReason): number {
  return STATES[reason];
}

export function reasonOfState(state: number): MissReason {
  return state === STATES.damaged ? 'damaged' : state === STATES.absent ? 'absent' : 'unreadable';
}

export interface MarkedPack {
  readonly name: PackName;
  readonly store: StoreName;
  readonly state: number;
}

export interface MarkTable {
  /** A copy that is marked already keeps its time. */
  markCopy(frame: number, pack: number, state: number, why: string, atNs: bigint): void;
  liftCopy(frame: number): void;
  liftCopiesOf(pack: number): void;
  copiesOf(pack: number): { readonly frame: number; readonly state: number; readonly why: string }[];
  markPack(
    name: PackName,
    store: StoreName,
    mark: { readonly state: number; readonly why: string; readonly frames: number; readonly bytes: number },
    atNs: bigint,
  ): void;
  liftPack(name: PackName, store: StoreName): void;
  packMark(name: PackName, store: StoreName): number | undefined;
  markedPacks(): MarkedPack[];
  isEmpty(): boolean;
  losses(): StoreLoss[];
  /** Chunks of which a copy in any store is damaged or gone, and that no shard of any chain or branch holds. */
  lostUnheldIds(): Uint8Array[];
}

/** Whether a good copy of `f` is in the store of `p`, or in any store of this agent. */
const GOOD_SIBLING = `SELECT 1 FROM frames g JOIN packs q ON q.pack = g.pack WHERE g.key48 = f.key48 AND g.id = f.id AND g.state = 0`;
const OF_COPIES = `SELECT p.store, m.state, f.id, f.key48, f.sealed_bytes, m.since_ns, m.why
  FROM copy_marks m JOIN frames f ON f.frame = m.frame JOIN packs p ON p.pack = m.pack`;
const OF_PACKS = `SELECT p.store, m.state, f.id, f.key48, f.sealed_bytes, m.since_ns, m.why
  FROM pack_marks m JOIN packs p ON p.name = m.name AND p.store = m.store
  JOIN frames f ON f.frame >= p.first_frame AND f.frame < p.first_frame + p.frames AND f.pack = p.pack
  WHERE f.state = m.state`;
const LOST_CHUNKS = `SELECT store, state, count(*) AS chunks, sum(sealed_bytes) AS sealed_bytes, sum(nowhere) AS nowhere,
    CAST(min(since_ns) AS TEXT) AS since_ns, why
  FROM (SELECT f.store, f.state, f.id, max(f.sealed_bytes) AS sealed_bytes, min(f.since_ns) AS since_ns, f.why,
      NOT EXISTS (${GOOD_SIBLING}) AS nowhere
    FROM (${OF_COPIES} UNION ALL ${OF_PACKS}) f
    WHERE NOT EXISTS (${GOOD_SIBLING} AND q.store = f.store)
    GROUP BY f.store, f.id)
  GROUP BY store, state`;
const LOST_UNHELD_IDS = `SELECT DISTINCT id FROM (${OF_COPIES} UNION ALL ${OF_PACKS}) l
  WHERE state <> ${STATES.unreadable} AND NOT EXISTS (SELECT 1 FROM holds h WHERE h.key48 = l.key48)`;
const LOST_PACKS = `SELECT store, state, count(*) AS packs, CAST(min(since_ns) AS TEXT) AS since_ns, why FROM pack_marks GROUP BY store, state`;

interface RawLoss {
  readonly store: StoreName;
  readonly state: number;
  readonly chunks: number;
  readonly sealed_bytes: number;
  readonly nowhere: number;
  readonly since_ns: string;
  readonly why: string;
}

type RawPackLoss = Pick<RawLoss, 'store' | 'state' | 'since_ns' | 'why'> & { readonly packs: number };

export function markTable(db: Db): MarkTable {
  const markCopy = db.prepare(`INSERT INTO copy_marks (frame, pack, state, why, since_ns) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (frame) DO UPDATE SET state = excluded.state, why = excluded.why`);
  const liftCopy = db.prepare<[number]>('DELETE FROM copy_marks WHERE frame = ?');
  const liftCopiesOf = db.prepare<[number]>('DELETE FROM copy_marks WHERE pack = ?');
  const copiesOf = db.prepare<[number], { frame: number; state: number; why: string }>(
    'SELECT frame, state, why FROM copy_marks WHERE pack = ? ORDER BY frame',
  );
  const markPack =
    db.prepare(`INSERT INTO pack_marks (name, store, state, why, frames, bytes, since_ns) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (name, store) DO UPDATE SET state = excluded.state, why = excluded.why`);
  const liftPack = db.prepare<[Uint8Array, string]>('DELETE FROM pack_marks WHERE name = ? AND store = ?');
  const packMark = db
    .prepare<[Uint8Array, string], number>('SELECT state FROM pack_marks WHERE name = ? AND store = ?')
    .pluck();
  const markedPacks = db.prepare<[], { name: Buffer; store: string; state: number }>(
    'SELECT name, store, state FROM pack_marks',
  );
  const isMarked = db
    .prepare<[], number>('SELECT EXISTS (SELECT 1 FROM copy_marks) OR EXISTS (SELECT 1 FROM pack_marks)')
    .pluck();
  const lostChunks = db.prepare<[], RawLoss>(LOST_CHUNKS);
  const lostUnheldIds = db.prepare<[], Buffer>(LOST_UNHELD_IDS).pluck();
  const lostPacks = db.prepare<[], RawPackLoss>(LOST_PACKS);

  return {
    markCopy: (frame, pack, state, why, atNs) => void markCopy.run(frame, pack, state, why.slice(0, 500), atNs),
    liftCopy: (frame) => void liftCopy.run(frame),
    liftCopiesOf: (pack) => void liftCopiesOf.run(pack),
    copiesOf: (pack) => copiesOf.all(pack),
    markPack: (name, store, { state, why, frames, bytes }, atNs) =>
      void markPack.run(fromHex(name, 32), store, state, why.slice(0, 500), frames, bytes, atNs),
    liftPack: (name, store) => void liftPack.run(fromHex(name, 32), store),
    packMark: (name, store) => packMark.get(fromHex(name, 32), store),
    markedPacks: () => markedPacks.all().map(({ name, store, state }) => ({ name: toHex(name), store, state })),
    isEmpty: () => isMarked.get() === 0,
    lostUnheldIds: () => lostUnheldIds.all(),
    losses: () => joined(lostChunks.all(), lostPacks.all()),
  };
}

/** A pack mark without lost chunks stands only while nobody knows which chunks the pack had: others are settled. */
function joined(chunks: readonly RawLoss[], packs: readonly RawPackLoss[]): StoreLoss[] {
  const losses = new Map<string, StoreLoss>();
  for (const { store, state, sealed_bytes, since_ns, nowhere, chunks: count, why } of chunks) {
    losses.set(`${state}/${store}`, {
      store,
      reason: reasonOfState(state),
      chunks: count,
      nowhere,
      sealedBytes: sealed_bytes,
      packs: 0,
      sinceNs: BigInt(since_ns),
      why,
    });
  }
  for (const { store, state, packs: count, since_ns, why } of packs) {
    const key = `${state}/${store}`;
    const sinceNs = BigInt(since_ns);
    const known = losses.get(key);
    if (known === undefined)
      losses.set(key, {
        store,
        reason: reasonOfState(state),
        chunks: 0,
        nowhere: 0,
        sealedBytes: 0,
        packs: count,
        sinceNs,
        why,
      });
    else losses.set(key, { ...known, packs: count, sinceNs: sinceNs < known.sinceNs ? sinceNs : known.sinceNs });
  }
  return [...losses.values()];
}
