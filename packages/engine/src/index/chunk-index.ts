/** Where each chunk of this agent's store is. */
import { bytesEqual } from '../core/bytes.ts';
import { ChunkIdSet } from '../core/chunk-id-set.ts';
import type { Clock } from '../core/clock.ts';
import { EdgeError } from '../core/errors.ts';
import { failpoint } from '../core/failpoint.ts';
import type { ChunkId, PackName } from '../core/ids.ts';
import type { FrameLoss, FrameWatcher } from '../core/ports/frame-watcher.ts';
import type { ChunkIndex, ChunkLocation, FrameRow, FrameRows, PackRow, StoreName } from '../core/ports/index.ts';
import type { MarkNotes } from '../core/ports/mark-notes.ts';
import type { MissReason, SealedAddress } from '../core/ports/sealed-source.ts';
import { chunkMarks } from './chunk-marks.ts';
import { type ClaimingSession, claims } from './claims.ts';
import type { Db } from './database.ts';
import { type FrameTable, frameTable, type NumberedFrame } from './frame-table.ts';
import { holdLookup } from './hold-lookup.ts';
import { keyValueTable } from './key-value.ts';
import { GOOD, type MarkTable, markTable, reasonOfState } from './mark-table.ts';
import { type NumberedPack, type PackTable, packTable } from './pack-table.ts';

/** Beyond the port: what the drivers of the own disk and of the bucket need. */
export interface ChunkIndexTable extends ChunkIndex {
  /** Own-disk packs whose rows are gone but whose files may still be there. */
  doomedPacks(): PackName[];
  /** The file of a doomed pack is gone. */
  packUnlinked(name: PackName): void;
  /** This agent opened the copies and found the ids right; a mark ends. */
  noteIdentified(copies: readonly { readonly id: ChunkId; readonly pack: PackName }[], store?: StoreName): void;
  /** See `ChunkMarks`. */
  restoreNoted(): void;
  sessions(): ClaimingSession[];
  /** A collection keeps the claims of sessions that end while it is open (docs/chain.md 2.8). */
  beginCollection(): number;
  endCollection(collection: number): void;
  /** Whether an open session relies on the chunk. */
  isClaimed(id: ChunkId): boolean;
  /** Folder rows are checked before they pass for unchanged again: something that they reach may be missing now. */
  voidRows(): void;
}

/** Nothing outlives the index: for tests of it alone. */
const NO_NOTES: MarkNotes = { append: () => {}, read: () => new Map() };

/** `watcher` hears of each change within its transaction; `notes` outlive the index. `isReleasing`: a look-up takes such a chunk for unknown. */
export function chunkIndex(
  db: Db,
  clock: Clock,
  watcher?: FrameWatcher,
  notes = NO_NOTES,
  isReleasing: (id: ChunkId) => boolean = () => false,
): ChunkIndexTable {
  const packs = packTable(db);
  const frames = frameTable(db);
  const claimed = claims(db);
  const holds = holdLookup(db);
  const facts = keyValueTable(db);
  const marks = markTable(db);
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

  /** Stores that cannot be asked now, or are not the ones that they were. */
  let uncounted: ReadonlySet<StoreName> = new Set();
  const isCounted = (id: ChunkId): boolean =>
    uncounted.size === 0
      ? frames.isThere(id)
      : frames.goodCopies(id).some((copy) => !uncounted.has(packs.byNumber(copy.pack).store));

  /** Tells of frames whose rows have just gone or been marked. */
  const noteLost = (gone: readonly FrameRow[], store: StoreName, why: FrameLoss): void => {
    if (watcher === undefined || gone.length === 0) return;
    const lost = gone.filter((frame) => !hasSameCopy(frame, store, packs, frames)).map(({ id }) => id);
    if (lost.length > 0) watcher.lost(lost, store, why);
  };

  const noteGained = (good: readonly FrameRow[], store: StoreName): void => {
    if (good.length > 0) watcher?.gained(good, store);
  };
  const removeRows = (pack: NumberedPack): void => {
    frames.removePack(pack);
    marks.liftCopiesOf(pack.pack);
    packs.remove(pack);
  };
  const marked = chunkMarks({
    packs,
    frames,
    marks,
    notes,
    clock,
    transaction,
    raiseLossEpoch,
    noteLost,
    noteGained,
    removeRows,
  });

  /** Answers which notes about the pack have to end. */
  const addPack = (pack: PackRow, rows: FrameRows, adopted: boolean): 'end' | 'lift-pack' | undefined => {
    const known = packs.byName(pack.name, pack.store);
    const wasMarked =
      marks.packMark(pack.name, pack.store) !== undefined ||
      (known !== undefined && marks.copiesOf(known.pack).length > 0);
    // The same chunks stored once more make the same pack: rows that were dropped or marked since are good again.
    if (known !== undefined) removeRows(known);
    marks.liftPack(pack.name, pack.store);
    const firstFrame = frames.nextRow();
    frames.insert(firstFrame, packs.insert(pack, firstFrame), rows);
    if (pack.store === '') packs.undoom(pack.name);
    const noted = adopted ? marked.applyNoted(packs.byName(pack.name, pack.store)!) : undefined;
    if (noted === undefined) watcher?.gained(rows, pack.store);
    else noteGained(frames.ofPack(packs.byName(pack.name, pack.store)!, false), pack.store);
    if (!wasMarked) return undefined;
    return adopted ? 'lift-pack' : 'end';
  };
  const removePack = (pack: NumberedPack, why: FrameLoss, isDoomed: boolean): void => {
    const gone = watcher === undefined ? [] : frames.ofPack(pack, false);
    removeRows(pack);
    marks.liftPack(pack.name, pack.store);
    if (isDoomed && pack.store === '') packs.doom(pack.name);
    noteLost(gone, pack.store, why);
  };

  return {
    // Only the temporary table is written: no fsync on this path.
    claim: db.transaction((session: number, ids: readonly ChunkId[]) => {
      claimed.requireOpen(session);
      const known = new Uint8Array(ids.length);
      for (let i = 0; i < ids.length; i++) {
        // What is being released is stored and added again, behind the release.
        if (!isCounted(ids[i]!) || isReleasing(ids[i]!)) continue;
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
    countAllBut: (stores) => {
      uncounted = stores;
    },
    voidRows: raiseLossEpoch,
    isClaimed: (id) =>
      claimed.isClaimed(id, -1) || frames.goodCopies(id).some((copy) => claimed.isClaimed(id, copy.pack)),
    addPack: (pack, rows, adopted = false) => {
      const ends = transaction(() => {
        const noted = addPack(pack, rows, adopted);
        failpoint('index.pack-adding');
        return noted;
      });
      failpoint('index.pack-added');
      if (ends !== undefined) marked.endNotes(ends, pack);
    },
    locate: together((ids: readonly ChunkId[]) => ids.map((id) => locationsOf(id, packs, frames))),
    locateKeys: together((keys: readonly number[]) => keys.map((key) => located(frames.goodCopiesOfKey(key), packs))),
    allCopies: together((ids: readonly ChunkId[]) =>
      ids.map((id) =>
        frames.allCopies(id).map((copy) => ({
          ...locationOf(copy, packs.byNumber(copy.pack)),
          marked: copy.state === GOOD ? undefined : reasonOfState(copy.state),
        })),
      ),
    ),
    addresses: together((store: StoreName, ids: readonly ChunkId[]) =>
      ids.map((id) => addressIn(store, id, packs, frames)),
    ),
    ...marked,
    markBad: (id, pack, why, store = '') => marked.markCopies([{ id, pack, reason: 'damaged', why }], store),
    losses: () => (marks.isEmpty() ? [] : marks.losses()),
    lostUnheldIds: () => (marks.isEmpty() ? [] : marks.lostUnheldIds()),
    dropLocations: (store, ids, keeps) =>
      transaction(() => {
        const touched = new Set<PackName>();
        const kept: number[] = [];
        for (const [i, id] of ids.entries()) {
          const copies = frames.goodCopies(id);
          const here = copies.filter((copy) => packs.byNumber(copy.pack).store === store);
          // The last copy in this agent's store stays while a running session relies on it or another owner holds it here.
          const isReliedOn = here.some((copy) => claimed.isClaimed(id, copy.pack)) || holds.isHeld(id);
          if (keeps?.(id) === true) {
            kept.push(i);
            continue;
          }
          if (here.length === 0 || (here.length === copies.length && isReliedOn)) {
            kept.push(i);
            continue;
          }
          // With them go copies that are known to be bad. One that could not be read may be good: its pack stays.
          const bad = frames
            .allCopies(id)
            .filter(({ pack, state }) => isGivenUp(state) && packs.byNumber(pack).store === store);
          for (const copy of [...here, ...bad]) {
            frames.removeRow(copy.frame);
            marks.liftCopy(copy.frame);
            touched.add(packs.byNumber(copy.pack).name);
          }
          noteLost(here, store, 'dropped');
        }
        return { packs: [...touched], kept };
      }),
    swapPacks: (oldPacks, added, store = '') => {
      transaction(() => {
        const old = oldPacks.map((name) => packs.byName(name, store)).filter((pack) => pack !== undefined);
        requireAllAmong(added, old, frames);
        for (const { pack, frames: rows } of added) addPack(pack, rows, false);
        for (const pack of old) removePack(pack, 'dropped', true);
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
    forgetPack: (name, store = '') => {
      transaction(() => {
        const pack = packs.byName(name, store);
        marks.liftPack(name, store);
        if (pack === undefined) return;
        removePack(pack, 'absent', false);
        raiseLossEpoch();
      });
      marked.endNotes('end', { name, store });
    },
    lossEpoch,
    noteReads: (ids, atNs) =>
      transaction(() => {
        for (const id of ids) noteRead.run(id, atNs);
      }),
    lastRead: (id) => lastRead.get(id),
    counts: () => ({ ...packs.totals(), chunks: frames.chunks(), badCopies: lacking(marks) }),
    doomedPacks: () => packs.doomed(),
    packUnlinked: (name) => packs.undoom(name),
    noteIdentified: (copies, store = '') => {
      marked.liftMarks(copies, store);
      transaction(() => {
        for (const { id, pack: name } of copies) {
          const pack = packs.byName(name, store);
          if (pack === undefined) continue;
          frames.setIdentified(id, pack.pack);
          noteGained(
            frames.goodCopies(id).filter((copy) => copy.pack === pack.pack),
            store,
          );
        }
      });
    },
  };
}

function hasSameCopy(frame: FrameRow, store: StoreName, packs: PackTable, frames: FrameTable): boolean {
  return frames
    .goodCopies(frame.id)
    .some((copy) => bytesEqual(copy.sealedSha256, frame.sealedSha256) && packs.byNumber(copy.pack).store === store);
}

function locationsOf(id: ChunkId, packs: PackTable, frames: FrameTable): ChunkLocation[] {
  return located(frames.goodCopies(id), packs);
}

function located(copies: readonly NumberedFrame[], packs: PackTable): ChunkLocation[] {
  const locations = copies.map((copy) => locationOf(copy, packs.byNumber(copy.pack)));
  return locations.length < 2 ? locations : locations.sort((a, b) => Number(a.store !== '') - Number(b.store !== ''));
}

function addressIn(
  store: StoreName,
  id: ChunkId,
  packs: PackTable,
  frames: FrameTable,
): (SealedAddress & { readonly pack: PackName }) | undefined {
  let marked: (SealedAddress & { readonly pack: PackName; readonly marked: MissReason }) | undefined;
  for (const { pack: number, keyId, offset, sealedBytes, identified, state } of frames.places(id)) {
    const pack = packs.byNumber(number);
    if (pack.store !== store) continue;
    const address = { id, keyId, sealedBytes, pack: pack.name, offset, identified };
    if (state === GOOD) return address;
    const reason = reasonOfState(state);
    // The likeliest to be good: one that only could not be read.
    if (marked === undefined || reason === 'unreadable') marked = { ...address, identified: false, marked: reason };
  }
  return marked;
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

/** What lost a good copy and has none in the same store now; of a pack whose chunks nobody knows, one. */
function lacking(marks: MarkTable): number {
  return marks.isEmpty() ? 0 : marks.losses().reduce((sum, { chunks, packs }) => sum + Math.max(chunks, packs), 0);
}

function isGivenUp(state: number): boolean {
  return state !== GOOD && reasonOfState(state) !== 'unreadable';
}

/** A compaction that missed a copy must not lose it: each frame of the old packs, marked or not, must be among those that were copied. */
function requireAllAmong(
  added: readonly { readonly frames: FrameRows }[],
  old: readonly NumberedPack[],
  frames: FrameTable,
): void {
  const copied = new ChunkIdSet();
  for (const { frames: rows } of added) for (const { id } of rows) copied.add(id);
  for (const pack of old) {
    if (frames.ofPack(pack, true).every(({ id }) => copied.has(id))) continue;
    throw new EdgeError('E_FAILED', `pack ${pack.name.slice(0, 8)} changed while it was compacted`, {
      retryable: true,
    });
  }
}
