/** Where each chunk of this agent's store is. */
import { bytesEqual } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import { EdgeError } from '../core/errors.ts';
import { failpoint } from '../core/failpoint.ts';
import type { ChunkId, PackName } from '../core/ids.ts';
import type { FrameLoss, FrameWatcher } from '../core/ports/frame-watcher.ts';
import type { ChunkIndex, ChunkLocation, FrameRow, FrameRows, PackRow, StoreName } from '../core/ports/index.ts';
import type { SealedAddress } from '../core/ports/sealed-source.ts';
import { type ClaimingSession, claims } from './claims.ts';
import type { Db } from './database.ts';
import { type FrameTable, frameTable, type NumberedFrame } from './frame-table.ts';
import { holdLookup } from './hold-lookup.ts';
import { keyValueTable } from './key-value.ts';
import { type NumberedPack, type PackTable, packTable } from './pack-table.ts';

/** Beyond the port: what the drivers of the own disk and of the bucket need. */
export interface ChunkIndexTable extends ChunkIndex {
  /** Own-disk packs whose rows are gone but whose files may still be there. */
  doomedPacks(): PackName[];
  /** The file of a doomed pack is gone. */
  packUnlinked(name: PackName): void;
  /** This agent opened the copy and found the id right. */
  noteIdentified(id: ChunkId, pack: PackName, store?: StoreName): void;
  sessions(): ClaimingSession[];
  /** A collection keeps the claims of sessions that end while it is open (docs/chain.md 2.8). */
  beginCollection(): number;
  endCollection(collection: number): void;
  /** Whether an open session relies on the chunk. */
  isClaimed(id: ChunkId): boolean;
}

/** `watcher` hears of each change within its transaction. */
export function chunkIndex(
  db: Db,
  clock: Clock,
  watcher?: FrameWatcher,
  isReleasing: (id: ChunkId) => boolean = () => false,
): ChunkIndexTable {
  const packs = packTable(db);
  const frames = frameTable(db);
  const claimed = claims(db);
  const holds = holdLookup(db);
  const facts = keyValueTable(db);
  const noteBad = db.prepare('INSERT OR REPLACE INTO bad_copies (id, pack, why, noted_ns) VALUES (?, ?, ?, ?)');
  const clearBad = db.prepare<[number]>('DELETE FROM bad_copies WHERE pack = ?');
  const noteRead = db.prepare('INSERT OR REPLACE INTO chunk_reads (id, read_ns) VALUES (?, ?)');
  const lastRead = db
    .prepare<[Uint8Array], bigint>('SELECT read_ns FROM chunk_reads WHERE id = ?')
    .pluck()
    .safeIntegers();
  const lossEpoch = (): number => Number(facts.get('index.loss-epoch') ?? '0');
  const raiseLossEpoch = (): void => facts.set('index.loss-epoch', String(lossEpoch() + 1));
  const transaction = <T>(work: () => T): T => db.transaction(work).immediate();
  /** Many reads under one lock of the database's, instead of one each. */
  const together = <Args extends unknown[], T>(read: (...args: Args) => T) => db.transaction(read);

  /** Tells of frames whose rows have just gone or been marked. */
  const noteLost = (gone: readonly FrameRow[], store: StoreName, why: FrameLoss): void => {
    if (watcher === undefined || gone.length === 0) return;
    const lost = gone.filter((frame) => !hasSameCopy(frame, store, packs, frames)).map(({ id }) => id);
    if (lost.length > 0) watcher.lost(lost, store, why);
  };

  const addPack = (pack: PackRow, rows: FrameRows): void => {
    const known = packs.byName(pack.name, pack.store);
    // The same chunks stored once more make the same pack: rows that were dropped or marked bad since are good again.
    if (known !== undefined) {
      frames.removePack(known);
      clearBad.run(known.pack);
      packs.remove(known);
    }
    const firstFrame = frames.nextRow();
    frames.insert(firstFrame, packs.insert(pack, firstFrame), rows);
    if (pack.store === '') packs.undoom(pack.name);
    watcher?.gained(rows, pack.store);
  };
  const removePack = (pack: NumberedPack, why: FrameLoss): void => {
    const gone = watcher === undefined ? [] : frames.ofPack(pack, false);
    frames.removePack(pack);
    clearBad.run(pack.pack);
    packs.remove(pack);
    if (pack.store === '') packs.doom(pack.name);
    noteLost(gone, pack.store, why);
  };

  return {
    // Only the temporary table is written: no fsync on this path.
    claim: db.transaction((session: number, ids: readonly ChunkId[]) => {
      claimed.requireOpen(session);
      const known = new Uint8Array(ids.length);
      for (let i = 0; i < ids.length; i++) {
        // What is being released is stored and added again, behind the release.
        if (!frames.isThere(ids[i]!) || isReleasing(ids[i]!)) continue;
        claimed.add(session, ids[i]!);
        known[i] = 1;
      }
      return known;
    }),
    beginSession: (what, snapshots = []) => claimed.begin(what, packs.nextNumber(), snapshots),
    beginCollection: () => claimed.beginCollection(),
    endCollection: (collection) => claimed.endCollection(collection),
    endSession: (session) => claimed.end(session),
    sessions: () => claimed.sessions(),
    isClaimed: (id) =>
      claimed.isClaimed(id, -1) || frames.goodCopies(id).some((copy) => claimed.isClaimed(id, copy.pack)),
    addPack: (pack, rows) => {
      transaction(() => {
        addPack(pack, rows);
        failpoint('index.pack-adding');
      });
      failpoint('index.pack-added');
    },
    locate: together((ids: readonly ChunkId[]) => ids.map((id) => locationsOf(id, packs, frames))),
    addresses: together((store: StoreName, ids: readonly ChunkId[]) =>
      ids.map((id) => addressIn(store, id, packs, frames)),
    ),
    markBad: (id, name, why, store = '') =>
      transaction(() => {
        const pack = packs.byName(name, store);
        if (pack === undefined) return;
        const copies = watcher === undefined ? [] : frames.goodCopies(id).filter((copy) => copy.pack === pack.pack);
        if (!frames.markBad(id, pack.pack)) return;
        noteBad.run(id, pack.pack, why.slice(0, 500), clock.nowNs());
        raiseLossEpoch();
        noteLost(copies, store, 'damaged');
      }),
    dropLocations: (store, ids, keeps) =>
      transaction(() => {
        const touched = new Set<PackName>();
        for (const id of ids) {
          if (keeps?.(id) === true) continue;
          const copies = frames.goodCopies(id);
          const here = copies.filter((copy) => packs.byNumber(copy.pack).store === store);
          // The last copy in this agent's store stays while a running session relies on it or another owner holds it here.
          const isReliedOn = here.some((copy) => claimed.isClaimed(id, copy.pack)) || holds.isHeld(id);
          if (here.length === copies.length && isReliedOn) continue;
          for (const copy of here) {
            frames.removeRow(copy.frame);
            touched.add(packs.byNumber(copy.pack).name);
          }
          noteLost(here, store, 'dropped');
        }
        return [...touched];
      }),
    swapPacks: (oldPacks, added, store = '') => {
      transaction(() => {
        const old = oldPacks.map((name) => packs.byName(name, store)).filter((pack) => pack !== undefined);
        for (const { pack, frames: rows } of added) addPack(pack, rows);
        requireCopiesElsewhere(old, frames);
        for (const pack of old) removePack(pack, 'dropped');
        failpoint('index.packs-swapping');
      });
      failpoint('index.packs-swapped');
    },
    packs: (store) => packs.list(store),
    framesOf: (name, store = '') => {
      const pack = packs.byName(name, store);
      return pack === undefined ? [] : frames.ofPack(pack, false);
    },
    allFramesOf: (name, store = '') => {
      const pack = packs.byName(name, store);
      return pack === undefined ? [] : frames.ofPack(pack, true);
    },
    packByName: (name, store = '') => packs.byName(name, store),
    forgetPack: (name, store = '') =>
      transaction(() => {
        const pack = packs.byName(name, store);
        if (pack === undefined) return;
        removePack(pack, 'absent');
        if (store === '') packs.undoom(name);
        raiseLossEpoch();
      }),
    lossEpoch,
    noteReads: (ids, atNs) =>
      transaction(() => {
        for (const id of ids) noteRead.run(id, atNs);
      }),
    lastRead: (id) => lastRead.get(id),
    counts: () => ({ ...packs.totals(), ...frames.totals() }),
    doomedPacks: () => packs.doomed(),
    packUnlinked: (name) => packs.undoom(name),
    noteIdentified: (id, name, store = '') =>
      transaction(() => {
        const pack = packs.byName(name, store);
        if (pack === undefined) return;
        frames.setIdentified(id, pack.pack);
        watcher?.gained(
          frames.goodCopies(id).filter((copy) => copy.pack === pack.pack),
          store,
        );
      }),
  };
}

function hasSameCopy(frame: FrameRow, store: StoreName, packs: PackTable, frames: FrameTable): boolean {
  return frames
    .goodCopies(frame.id)
    .some((copy) => bytesEqual(copy.sealedSha256, frame.sealedSha256) && packs.byNumber(copy.pack).store === store);
}

function locationsOf(id: ChunkId, packs: PackTable, frames: FrameTable): ChunkLocation[] {
  const locations = frames.goodCopies(id).map((copy) => locationOf(copy, packs.byNumber(copy.pack)));
  return locations.length < 2 ? locations : locations.sort((a, b) => Number(a.store !== '') - Number(b.store !== ''));
}

function addressIn(
  store: StoreName,
  id: ChunkId,
  packs: PackTable,
  frames: FrameTable,
): (SealedAddress & { readonly pack: PackName }) | undefined {
  for (const { pack: number, keyId, offset, sealedBytes, identified } of frames.goodPlaces(id)) {
    const pack = packs.byNumber(number);
    if (pack.store === store) return { id, keyId, sealedBytes, pack: pack.name, offset, identified };
  }
  return undefined;
}

function locationOf(copy: NumberedFrame, pack: NumberedPack): ChunkLocation {
  return {
    id: copy.id,
    keyId: copy.keyId,
    offset: copy.offset,
    sealedBytes: copy.sealedBytes,
    sealedSha256: copy.sealedSha256,
    identified: copy.identified,
    pack: pack.name,
    store: pack.store,
    packClass: pack.packClass,
    createdNs: pack.createdNs,
  };
}

/** A compaction that missed a copy must not lose it: each good frame of the old packs must have a copy outside them. */
function requireCopiesElsewhere(old: readonly NumberedPack[], frames: FrameTable): void {
  const going = new Set(old.map((pack) => pack.pack));
  for (const pack of old) {
    for (const frame of frames.ofPack(pack, false)) {
      if (frames.goodCopies(frame.id).some((copy) => !going.has(copy.pack))) continue;
      throw new EdgeError('E_FAILED', `pack ${pack.name.slice(0, 8)} changed while it was compacted`, {
        retryable: true,
      });
    }
  }
}
