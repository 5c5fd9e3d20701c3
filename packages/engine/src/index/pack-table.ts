import { fromHex, type PackClass, type PackName, toHex } from '../core/ids.ts';
import type { KnownPack, PackRow, StoreName } from '../core/ports/index.ts';
import type { Db } from './database.ts';
import { reasonOfState } from './mark-table.ts';

/** A pack with its number and where its rows in `frames` begin. */
export interface NumberedPack extends KnownPack {
  readonly pack: number;
  readonly firstFrame: number;
}

export interface PackTable {
  /** The number that the next pack gets: never one that a pack had while this database was open. */
  nextNumber(): number;
  /** Returns the pack's number. The name must not be in that store yet. */
  insert(pack: PackRow, firstFrame: number): number;
  byNumber(pack: number): NumberedPack;
  byName(name: PackName, store: StoreName): NumberedPack | undefined;
  list(store?: StoreName): NumberedPack[];
  remove(pack: NumberedPack): void;
  setVerified(pack: NumberedPack, atNs: bigint): void;
  /** Rows of marked packs are not kept as objects. */
  forgetKept(): void;
  doom(name: PackName): void;
  doomed(): PackName[];
  undoom(name: PackName): void;
  totals(): { packs: number; bytes: number };
}

interface RawPack {
  readonly pack: number;
  readonly name: Buffer;
  readonly store: StoreName;
  readonly class: number;
  readonly bytes: number;
  readonly frames: number;
  readonly first_frame: number;
  /** As text: nanoseconds do not fit a double. */
  readonly created_ns: string;
  readonly verified_ns: string | null;
  readonly mark: number | null;
}

const SELECT = `SELECT p.pack, p.name, p.store, p.class, p.bytes, p.frames, p.first_frame, CAST(p.created_ns AS TEXT) AS created_ns,
    CAST(p.verified_ns AS TEXT) AS verified_ns, m.state AS mark
  FROM packs p LEFT JOIN pack_marks m ON m.name = p.name AND m.store = p.store`;
/** Packs kept as objects, since every location names one; begun anew when full. */
const KEPT_PACKS_MAX = 8192;

export function packTable(db: Db): PackTable {
  const insert = db.prepare(
    'INSERT INTO packs (pack, name, store, class, bytes, frames, first_frame, created_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
  );
  const newest = db.prepare<[], number>('SELECT coalesce(max(pack), 0) FROM packs').pluck();
  const byNumber = db.prepare<[number], RawPack>(`${SELECT} WHERE p.pack = ?`);
  const byName = db.prepare<[Uint8Array, string], RawPack>(`${SELECT} WHERE p.name = ? AND p.store = ?`);
  const all = db.prepare<[], RawPack>(`${SELECT} ORDER BY p.pack`);
  const ofStore = db.prepare<[string], RawPack>(`${SELECT} WHERE p.store = ? ORDER BY p.pack`);
  const remove = db.prepare<[number]>('DELETE FROM packs WHERE pack = ?');
  const setVerified = db.prepare<[bigint, number]>('UPDATE packs SET verified_ns = ? WHERE pack = ?');
  const doom = db.prepare<[Uint8Array]>('INSERT OR IGNORE INTO doomed_packs (name) VALUES (?)');
  const doomed = db.prepare<[], Buffer>('SELECT name FROM doomed_packs').pluck();
  const undoom = db.prepare<[Uint8Array]>('DELETE FROM doomed_packs WHERE name = ?');
  const totals = db.prepare<[], { packs: number; bytes: number }>(
    'SELECT count(*) AS packs, coalesce(sum(bytes), 0) AS bytes FROM packs',
  );
  const kept = new Map<number, NumberedPack>();
  let last = newest.get()!;

  return {
    nextNumber: () => last + 1,
    insert: (pack, firstFrame) => {
      insert.run(
        ++last,
        fromHex(pack.name, 32),
        pack.store,
        classNumber(pack.packClass),
        pack.bytes,
        pack.frames,
        firstFrame,
        pack.createdNs,
      );
      return last;
    },
    byNumber: (number) => {
      let pack = kept.get(number);
      if (pack === undefined) {
        pack = toPack(byNumber.get(number)!);
        if (kept.size >= KEPT_PACKS_MAX) kept.clear();
        kept.set(number, pack);
      }
      return pack;
    },
    byName: (name, store) => {
      const raw = byName.get(fromHex(name, 32), store);
      return raw === undefined ? undefined : toPack(raw);
    },
    list: (store) => (store === undefined ? all.all() : ofStore.all(store)).map(toPack),
    remove: (pack) => {
      remove.run(pack.pack);
      kept.delete(pack.pack);
    },
    setVerified: (pack, atNs) => {
      setVerified.run(atNs, pack.pack);
      kept.delete(pack.pack);
    },
    forgetKept: () => kept.clear(),
    doom: (name) => void doom.run(fromHex(name, 32)),
    doomed: () => doomed.all().map(toHex),
    undoom: (name) => void undoom.run(fromHex(name, 32)),
    totals: () => totals.get()!,
  };
}

function toPack(raw: RawPack): NumberedPack {
  return {
    pack: raw.pack,
    name: toHex(raw.name),
    store: raw.store,
    packClass: raw.class === 1 ? 'data' : 'meta',
    bytes: raw.bytes,
    frames: raw.frames,
    firstFrame: raw.first_frame,
    createdNs: BigInt(raw.created_ns),
    verifiedNs: raw.verified_ns === null ? undefined : BigInt(raw.verified_ns),
    marked: raw.mark === null ? undefined : reasonOfState(raw.mark),
  };
}

function classNumber(packClass: PackClass): number {
  return packClass === 'data' ? 1 : 2;
}
