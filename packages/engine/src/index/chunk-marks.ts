/**
 * Marks of bad copies: set, lifted, counted. Each mark is noted durably beside the index before the index has it, and each end of a mark after that:
 * a crash in between leaves a note too many, which makes a good copy be read again, never a bad one count.
 */
import type { Clock } from '../core/clock.ts';
import { fromHex } from '../core/ids.ts';
import type { FrameLoss } from '../core/ports/frame-watcher.ts';
import type { ChunkIndex, CopyMark, FrameRow, PackMark, StoreName } from '../core/ports/index.ts';
import { type MarkNote, type MarkNotes, type NotedPack, notedKey } from '../core/ports/mark-notes.ts';
import type { MissReason } from '../core/ports/sealed-source.ts';
import type { FrameTable, NumberedFrame } from './frame-table.ts';
import { GOOD, type MarkTable, reasonOfState, stateOfReason } from './mark-table.ts';
import type { NumberedPack, PackTable } from './pack-table.ts';

export interface ChunkMarksDeps {
  readonly packs: PackTable;
  readonly frames: FrameTable;
  readonly marks: MarkTable;
  readonly notes: MarkNotes;
  readonly clock: Clock;
  readonly transaction: <T>(work: () => T) => T;
  readonly raiseLossEpoch: () => void;
  readonly noteLost: (gone: readonly FrameRow[], store: StoreName, why: FrameLoss) => void;
  readonly noteGained: (frames: readonly FrameRow[], store: StoreName) => void;
  /** Rows of a pack that is not needed any more; its file is left alone. */
  readonly removeRows: (pack: NumberedPack) => void;
}

export type ChunkMarks = Pick<
  ChunkIndex,
  | 'markCopies'
  | 'liftMarks'
  | 'markPacks'
  | 'liftPackMarks'
  | 'noteVerified'
  | 'marksOf'
  | 'settleLosses'
  | 'forgetBadCopies'
  | 'unknownPacks'
> & {
  /** Within the transaction that adds a found pack: what was noted of it holds on. Undefined when nothing was. */
  applyNoted(pack: NumberedPack): NotedPack | undefined;
  /** After the transaction that wrote, removed or found the pack: what was noted of it, or of it as a whole, holds no more. */
  endNotes(kind: 'end' | 'lift-pack', pack: { readonly name: string; readonly store: StoreName }): void;
  /** After a rebuild: packs that were noted as absent or unreadable, and of which nothing was found. */
  restoreNoted(): void;
};

export function chunkMarks(deps: ChunkMarksDeps): ChunkMarks {
  const { packs, frames, marks, notes, clock, transaction } = deps;
  /** Read when a pack is first adopted, which few processes do. */
  let noted: ReadonlyMap<string, NotedPack> | undefined;

  const copyOf = (id: Uint8Array, pack: NumberedPack): NumberedFrame | undefined =>
    frames.allCopies(id).find((copy) => copy.pack === pack.pack);
  const append = (added: readonly MarkNote[]): void => {
    if (added.length === 0) return;
    notes.append(added);
    noted = undefined;
  };

  interface Change {
    readonly pack: NumberedPack;
    readonly frame: NumberedFrame;
    readonly mark: CopyMark;
  }

  /** Marks that say something new. A copy that its hash called damaged stays so when the disk cannot read it either. */
  function changesOf(given: readonly CopyMark[], store: StoreName): Change[] {
    const changes: Change[] = [];
    for (const mark of given) {
      const pack = packs.byName(mark.pack, store);
      const frame = pack === undefined ? undefined : copyOf(mark.id, pack);
      if (pack === undefined || frame === undefined || frame.state === stateOfReason(mark.reason)) continue;
      if (frame.state === stateOfReason('damaged') && mark.reason === 'unreadable') continue;
      changes.push({ pack, frame, mark });
    }
    return changes;
  }

  return {
    markCopies: (given, store = '') => {
      const changes = changesOf(given, store);
      if (changes.length === 0) return;
      const atNs = clock.nowNs();
      append(notesOfCopies(changes, store, atNs));
      transaction(() => {
        const lost = new Map<MissReason, FrameRow[]>();
        for (const { pack, frame, mark } of changes) {
          const state = stateOfReason(mark.reason);
          frames.setState(frame.frame, state);
          marks.markCopy(frame.frame, pack.pack, state, mark.why, atNs);
          if (frame.state === GOOD) lost.set(mark.reason, [...(lost.get(mark.reason) ?? []), frame]);
        }
        if (lost.size > 0) deps.raiseLossEpoch();
        for (const [reason, gone] of lost) deps.noteLost(gone, store, reason);
      });
    },
    liftMarks: (copies, store = '') => {
      const lifted = new Map<NumberedPack, NumberedFrame[]>();
      for (const { id, pack: name } of copies) {
        const pack = packs.byName(name, store);
        const frame = pack === undefined ? undefined : copyOf(id, pack);
        if (pack === undefined || frame === undefined || frame.state === GOOD) continue;
        const same = [...lifted.keys()].find((one) => one.pack === pack.pack) ?? pack;
        lifted.set(same, [...(lifted.get(same) ?? []), frame]);
      }
      if (lifted.size === 0) return;
      transaction(() => {
        for (const good of lifted.values()) {
          for (const frame of good) {
            frames.setState(frame.frame, GOOD);
            marks.liftCopy(frame.frame);
          }
          deps.noteGained(good, store);
        }
      });
      const atNs = clock.nowNs();
      append(
        [...lifted].map(([pack, good]) => ({
          kind: 'lift',
          store,
          pack: pack.name,
          atNs,
          ids: good.map(({ id }) => id),
        })),
      );
    },
    markPacks: (given, store = '') => {
      const changed = given.filter((mark) => marks.packMark(mark.name, store) !== stateOfReason(mark.reason));
      if (changed.length === 0) return;
      const atNs = clock.nowNs();
      append(changed.map((mark) => noteOfPack(mark, packs.byName(mark.name, store), store, atNs)));
      transaction(() => {
        for (const mark of changed) markWhole(mark, store, mark.sinceNs ?? atNs);
        packs.forgetKept();
      });
    },
    liftPackMarks: (names, store = '') => {
      const marked = names.filter((name) => marks.packMark(name, store) !== undefined);
      if (marked.length === 0) return;
      transaction(() => {
        for (const name of marked) {
          const state = marks.packMark(name, store)!;
          marks.liftPack(name, store);
          const pack = packs.byName(name, store);
          if (pack === undefined) continue;
          frames.setPackState(pack, state, GOOD);
          for (const copy of marks.copiesOf(pack.pack)) frames.setState(copy.frame, copy.state);
          deps.noteGained(frames.ofPack(pack, false), store);
        }
        packs.forgetKept();
      });
      const atNs = clock.nowNs();
      append(marked.map((pack) => ({ kind: 'lift-pack', store, pack, atNs })));
    },
    noteVerified: (names, atNs, store = '') => {
      const known = names.map((name) => packs.byName(name, store)).filter((pack) => pack !== undefined);
      if (known.length === 0) return;
      transaction(() => {
        for (const pack of known) packs.setVerified(pack, atNs);
      });
      append(known.map(({ name }) => ({ kind: 'verified', store, pack: name, atNs })));
    },
    marksOf: (name, store = '') => {
      const pack = packs.byName(name, store);
      if (pack === undefined) return [];
      const byFrame = new Map(frames.ofPack(pack, true).map((frame) => [frame.frame, frame]));
      return marks.copiesOf(pack.pack).flatMap(({ frame, state, why }) => {
        const row = byFrame.get(frame);
        return row === undefined ? [] : [{ id: row.id, pack: name, reason: reasonOfState(state), why }];
      });
    },
    unknownPacks: () =>
      marks
        .markedPacks()
        .filter(
          ({ name, store, state }) => state === stateOfReason('unreadable') && packs.byName(name, store) === undefined,
        )
        .map(({ name, store }) => ({ name, store })),
    settleLosses: (everythingIsThere = false) => {
      const settled = marks.markedPacks().filter(({ name, store, state }) => {
        const pack = packs.byName(name, store);
        // Nobody knows what was in it: only a look at everything tells that nothing is missing.
        if (pack === undefined) return everythingIsThere;
        // A file that is there may be read again; it is not given up for what a row says.
        return state === stateOfReason('absent') && isElsewhere(pack);
      });
      if (settled.length === 0) return;
      transaction(() => {
        for (const { name, store } of settled) {
          marks.liftPack(name, store);
          const pack = packs.byName(name, store);
          if (pack !== undefined) deps.removeRows(pack);
        }
        packs.forgetKept();
      });
      const atNs = clock.nowNs();
      append(settled.map(({ name, store }) => ({ kind: 'end', store, pack: name, atNs })));
    },
    forgetBadCopies: (ids, keeps) =>
      transaction(() => {
        for (const id of ids) {
          if (keeps(id)) continue;
          for (const { frame, state } of frames.allCopies(id)) {
            if (state === GOOD || reasonOfState(state) === 'unreadable') continue;
            frames.removeRow(frame);
            marks.liftCopy(frame);
          }
        }
      }),
    applyNoted: (pack) => {
      noted ??= notes.read();
      const found = noted.get(notedKey(pack.store, pack.name));
      if (found === undefined) return undefined;
      for (const [hex, { reason, sinceNs }] of found.copies) {
        const frame = copyOf(fromHex(hex, 32), pack);
        if (frame === undefined) continue;
        frames.setState(frame.frame, stateOfReason(reason));
        marks.markCopy(frame.frame, pack.pack, stateOfReason(reason), 'noted before the index was built anew', sinceNs);
      }
      if (found.verifiedNs !== undefined) packs.setVerified(pack, found.verifiedNs);
      // Single marks that were too many to note: all of the pack has to be read before any of it counts.
      if (found.whole?.reason === 'damaged' && found.whole.frames > 0) {
        const mark = { name: pack.name, reason: 'damaged', why: 'noted before the index was built anew' } as const;
        markWhole(mark, pack.store, found.whole.sinceNs);
      }
      return found;
    },
    endNotes: (kind, { name, store }) => {
      append([{ kind, store, pack: name, atNs: clock.nowNs() }]);
    },
    restoreNoted: () => {
      for (const { store, pack: name, whole } of notes.read().values()) {
        if (whole === undefined || packs.byName(name, store) !== undefined) continue;
        const { reason, frames: count, bytes, sinceNs } = whole;
        const mark = { name, reason, why: 'noted before the index was built anew', frames: count, bytes };
        markWhole(mark, store, sinceNs);
      }
    },
  };

  function markWhole(mark: PackMark, store: StoreName, atNs: bigint): void {
    const state = stateOfReason(mark.reason);
    const before = marks.packMark(mark.name, store);
    const pack = packs.byName(mark.name, store);
    marks.markPack(mark.name, store, { state, ...sizeOf(mark, pack), why: mark.why }, atNs);
    if (pack === undefined || mark.framesAreGood === true) return;
    const gone = frames.ofPack(pack, false);
    frames.setPackState(pack, GOOD, state);
    if (before !== undefined) frames.setPackState(pack, before, state);
    for (const copy of marks.copiesOf(pack.pack)) frames.setState(copy.frame, copy.state);
    if (gone.length === 0) return;
    deps.raiseLossEpoch();
    deps.noteLost(gone, store, mark.reason);
  }

  function isElsewhere(pack: NumberedPack): boolean {
    return frames
      .ofPack(pack, true)
      .every(({ id }) => frames.goodCopies(id).some((copy) => packs.byNumber(copy.pack).store === pack.store));
  }
}

function sizeOf(mark: PackMark, pack: NumberedPack | undefined): { frames: number; bytes: number } {
  return { frames: mark.frames ?? pack?.frames ?? 0, bytes: mark.bytes ?? pack?.bytes ?? 0 };
}

function noteOfPack(mark: PackMark, pack: NumberedPack | undefined, store: StoreName, atNs: bigint): MarkNote {
  const { frames, bytes } = sizeOf(mark, pack);
  const { name, reason, framesAreGood } = mark;
  return { kind: 'mark-pack', store, pack: name, atNs, reason, frames: framesAreGood === true ? 0 : frames, bytes };
}

function notesOfCopies(changes: readonly { readonly mark: CopyMark }[], store: StoreName, atNs: bigint): MarkNote[] {
  const groups = new Map<string, { pack: string; reason: MissReason; ids: Uint8Array[] }>();
  for (const { mark } of changes) {
    const key = `${mark.reason}/${mark.pack}`;
    const group = groups.get(key) ?? { pack: mark.pack, reason: mark.reason, ids: [] };
    group.ids.push(mark.id);
    groups.set(key, group);
  }
  return [...groups.values()].map(({ pack, reason, ids }) => ({ kind: 'mark', store, pack, atNs, reason, ids }));
}
