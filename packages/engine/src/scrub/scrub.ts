/** Reads packs again, on this disk and in the bucket, and says what is damaged before someone needs it. */
import { EdgeError, isEdgeError, NEWER_FORMAT_HINT, toEdgeError } from '../core/errors.ts';
import { type PackName, toHex } from '../core/ids.ts';
import { MIB } from '../core/limits.ts';
import type { PackRow, StoreName } from '../core/ports/index.ts';
import type { ScrubbedPack } from '../pipeline/tasks/scrub-pack.ts';
import { filesTouched, type Touched, withoutCopies } from './files-touched.ts';
import { findLost, type LostChunks } from './find-lost.ts';
import { repairChunks } from './repair-chunks.ts';
import { repairStores } from './repair-stores.ts';
import type { ScrubDeps, ScrubFinding, ScrubInput, ScrubReport, ScrubStore } from './scrub-types.ts';

/** Packs of a bucket read at once, and their bytes in memory: two of those that local packs are copied to, one of the largest (128 MiB). */
const BUCKET_PACKS_AT_ONCE = 2;
const BUCKET_BYTES_AT_ONCE = 64 * MIB;

/** Packs whose verification is noted at a time: each time is an fsync. */
const VERIFIED_AT_ONCE = 256;

type Finding = { -readonly [Key in keyof ScrubFinding]: ScrubFinding[Key] };

/**
 * Damage is a finding, not an error: marked in the index, so that the copy is no longer offered or counted, named with the files that it
 * touches, and with `repair` mended from another copy. A mark of a copy that is good now is lifted. Throws only when
 * this disk's packs cannot be
 * asked (E_CONFIG when the disk of the pack folder is not mounted), or on an abort.
 */
export async function scrub(input: ScrubInput, deps: ScrubDeps): Promise<ScrubReport> {
  const began = deps.monotonicMs();
  await deps.chunks.requireFolder();
  let findings: Finding[] = [];
  const unread: { label: string; code: EdgeError['code']; message: string }[] = [];
  const totals = { packs: 0, read: 0, bytes: 0, frames: 0 };

  const notes = input.dryRun === true ? undefined : deps.index;
  const verified = new Map<StoreName, PackName[]>();
  const noteVerified = (): void => {
    for (const [store, names] of verified) notes?.noteVerified(names.splice(0), deps.nowNs(), store);
  };

  await scrubStore('', deps.pool.size * 2, (pack) => scrubLocal(pack, deps));
  for (const store of deps.stores) {
    try {
      await scrubStore(store.store, BUCKET_PACKS_AT_ONCE, (pack) => scrubRemote(pack, store, deps));
    } catch (error) {
      deps.signal?.throwIfAborted();
      if (isEdgeError(error, 'E_NEWER_FORMAT')) throw error;
      const { code, message } = toEdgeError(error);
      unread.push({ label: store.label, code, message });
      deps.warn({ code, message: `${store.label} could not be scrubbed: ${message}` });
    }
  }
  noteVerified();
  for (const { name, store } of deps.index.unknownPacks()) {
    const detail = 'it cannot be read, and nobody knows what is in it: the next start tries again';
    findings.push({ store, pack: name, what: 'index', reason: 'unreadable', detail, otherCopies: 0, repaired: false });
  }
  const unwanted = input.dryRun === true ? new Set<string>() : deps.forgetUnwanted();
  findings = findings.filter(({ chunk, what, pack, store }) =>
    what === 'index' ? !isForgotten(pack, store, deps) : chunk === undefined || !unwanted.has(toHex(chunk)),
  );
  countCopies(findings, deps);
  const damaged = withoutCopies(findings);
  // A sample says something about the packs that it read; what has no pack any more is looked for with everything else.
  const found =
    input.mode === 'all'
      ? await findLost(deps, withoutCopies(findings.filter(({ what }) => what === 'chunk')))
      : undefined;
  const touched: Touched = new Map([
    ...[...damaged].map((hex) => [hex, 'damaged'] as const),
    ...[...(found?.lost ?? [])].map((hex) => [hex, 'lost'] as const),
  ]);
  // Named before the repair, so that the report says what was in danger.
  const { files, omitted } = await filesTouched(touched, deps);
  if (input.repair && input.dryRun !== true) {
    // This disk first: what it has again, a store may need.
    await repairChunks(findings, deps, (pack) => scrubLocal(pack, deps));
    await repairStores(findings, deps);
  }
  notes?.settleLosses(found !== undefined && isAllThere(found) && unread.length === 0);
  return {
    packs: { total: totals.packs, read: totals.read },
    bytesRead: totals.bytes,
    frames: totals.frames,
    findings,
    files,
    filesOmitted: omitted,
    lost: { chunks: found?.lost.size ?? 0, ids: found?.lost ?? new Set(), isComplete: found?.isComplete ?? true },
    givenUp: found?.givenUp ?? new Set(),
    unknown: { chunks: found?.unknown.size ?? 0, unread: found?.unread ?? 0, places: found?.unasked ?? [] },
    unread,
    repaired: findings.filter((finding) => finding.repaired).length,
    durationS: (deps.monotonicMs() - began) / 1000,
  };

  async function scrubStore(
    store: StoreName,
    atOnce: number,
    read: (pack: PackRow) => Promise<ScrubbedPack>,
  ): Promise<void> {
    const all = deps.index.packs(store);
    totals.packs += all.length;
    const line = choosePacks(all, input.mode, deps)[Symbol.iterator]();
    const room = createByteRoom(store === '' ? Number.POSITIVE_INFINITY : BUCKET_BYTES_AT_ONCE);
    const lanes = Array.from({ length: atOnce }, async () => {
      for (const pack of line) {
        deps.signal?.throwIfAborted();
        await room.take(pack.bytes);
        try {
          note(store, pack, await read(pack));
        } finally {
          room.give(pack.bytes);
        }
      }
    });
    const settled = await Promise.allSettled(lanes);
    for (const result of settled) if (result.status === 'rejected') throw result.reason;
  }

  function note(store: StoreName, pack: PackRow, result: ScrubbedPack): void {
    totals.read++;
    totals.bytes += result.bytes;
    totals.frames += result.frames;
    deps.progress?.({ phase: 'scrub', filesDone: totals.read, filesTotal: totals.packs, bytesDone: totals.bytes });
    const base = { store, pack: pack.name, otherCopies: 0, repaired: false };
    if (result.absent) {
      // A pack may have gone by the store's own doing since the rows were listed.
      if (deps.index.packByName(pack.name, store) === undefined) return;
      const detail = 'its pack is gone';
      for (const { id, offset } of deps.index.allFramesOf(pack.name, store))
        findings.push({ ...base, what: 'missing', reason: 'absent', chunk: id, offset, detail });
      notes?.markPacks([{ name: pack.name, reason: 'absent', why: detail }], store);
      return;
    }
    if (result.isNewer) {
      const place = store === '' ? deps.chunks.packPath(pack.name) : `pack ${pack.name} in store ${store}`;
      throw new EdgeError('E_NEWER_FORMAT', `${place}: ${result.tail}`, {
        hint: NEWER_FORMAT_HINT,
        context: { pack: pack.name, store },
      });
    }
    const reason = result.tailReason ?? 'damaged';
    if (result.tail !== undefined) findings.push({ ...base, what: 'index', reason, detail: result.tail });
    noteState(store, pack, result);
    const isClean = result.bad.length === 0;
    const reliedOn = new Set(isClean ? [] : deps.index.framesOf(pack.name, store).map(({ id }) => toHex(id)));
    const known = new Set(isClean ? [] : deps.index.allFramesOf(pack.name, store).map(({ id }) => toHex(id)));
    const copies = deps.index.locate(result.bad.map(({ id }) => id));
    for (const [i, { id, offset, reason, detail }] of result.bad.entries()) {
      // Dropped, or given up: no row names these bytes.
      if (!known.has(toHex(id))) continue;
      // Noted by an earlier scrub and mended since: nothing reads these bytes any more.
      if (!reliedOn.has(toHex(id)) && copies[i]?.some((copy) => copy.store === store)) continue;
      findings.push({ ...base, what: 'chunk', reason, chunk: id, offset, detail });
    }
    notes?.markCopies(
      result.bad.map(({ id, reason, detail }) => ({ id, pack: pack.name, reason, why: detail })),
      store,
    );
  }

  /** What was read and is good loses its mark; a pack without a fault was verified now. */
  function noteState(store: StoreName, pack: PackRow, { tail, tailReason, bad }: ScrubbedPack): void {
    if (tail === undefined) notes?.liftPackMarks([pack.name], store);
    else
      notes?.markPacks([{ name: pack.name, reason: tailReason ?? 'damaged', why: tail, framesAreGood: true }], store);
    const stillBad = new Set(bad.map(({ id }) => toHex(id)));
    const good = deps.index.marksOf(pack.name, store).filter(({ id }) => !stillBad.has(toHex(id)));
    if (good.length > 0) notes?.liftMarks(good, store);
    if (tail !== undefined || bad.length > 0) return;
    const names = verified.get(store) ?? [];
    verified.set(store, names);
    names.push(pack.name);
    if (names.length >= VERIFIED_AT_ONCE) noteVerified();
  }
}

/** Each of its chunks was given up or released: nothing in it is wanted. Of a pack that never had rows nobody knows. */
function isForgotten(pack: PackName, store: StoreName, { index }: ScrubDeps): boolean {
  return (index.packByName(pack, store)?.frames ?? 0) > 0 && index.allFramesOf(pack, store).length === 0;
}

function isAllThere(found: LostChunks): boolean {
  return found.isComplete && found.unread === 0 && found.lost.size === 0 && found.unknown.size === 0;
}

async function scrubLocal(pack: Pick<PackRow, 'name' | 'packClass'>, deps: ScrubDeps): Promise<ScrubbedPack> {
  // Also those that a reader met and marked before: they are what is wrong with this pack.
  const known = deps.index.allFramesOf(pack.name);
  const from = { path: deps.chunks.packPath(pack.name) };
  const result = await deps.pool.run('scrubPack', { name: pack.name, packClass: pack.packClass, from, known });
  // The disk of the packs may go while the scrub reads them.
  if (result.absent) await deps.chunks.requireFolder();
  return result;
}

async function scrubRemote(pack: PackRow, store: ScrubStore, deps: ScrubDeps): Promise<ScrubbedPack> {
  const known = deps.index.allFramesOf(pack.name, pack.store);
  let bytes: Uint8Array | undefined;
  try {
    bytes = await store.readRange(pack, { offset: 0, length: pack.bytes }, deps.signal);
  } catch (error) {
    // Shorter than it was: damaged as a whole. Anything else says nothing about the pack.
    if (!isEdgeError(error, 'E_INTEGRITY')) throw error;
    const bad = known.map(({ id, offset }) => ({ id, offset, reason: 'damaged', detail: error.message }) as const);
    return { ...UNREAD, frames: known.length, tail: error.message, tailReason: 'damaged', bad };
  }
  if (bytes === undefined) {
    await store.requireIdentity(deps.signal);
    return { ...UNREAD, absent: true };
  }
  const task = { name: pack.name, packClass: pack.packClass, from: { bytes }, known };
  // Handed over, so that it is in memory once.
  const isWhole = bytes.byteOffset === 0 && bytes.byteLength === bytes.buffer.byteLength;
  return deps.pool.run('scrubPack', task, isWhole ? { transfer: [bytes.buffer as ArrayBuffer] } : {});
}

const UNREAD: ScrubbedPack = {
  bytes: 0,
  frames: 0,
  absent: false,
  tail: undefined,
  tailReason: undefined,
  isNewer: false,
  bad: [],
};

/** Something larger than all of it is let in alone. */
function createByteRoom(bytesMax: number): { take(bytes: number): Promise<void>; give(bytes: number): void } {
  let taken = 0;
  const waiting: (() => void)[] = [];
  return {
    async take(bytes) {
      while (taken > 0 && taken + bytes > bytesMax) await new Promise<void>((resolve) => waiting.push(resolve));
      taken += bytes;
    },
    give(bytes) {
      taken -= bytes;
      for (const wake of waiting.splice(0)) wake();
    },
  };
}

/** A random part, so that samples cover everything in the course of time. */
function choosePacks(packs: readonly PackRow[], mode: ScrubInput['mode'], deps: ScrubDeps): readonly PackRow[] {
  if (mode === 'all') return packs;
  const count = Math.min(packs.length, Math.max(1, Math.ceil(packs.length * mode.sample)));
  const keyed = packs.map((pack) => ({ pack, key: toHex(deps.random(8)) }));
  keyed.sort((a, b) => (a.key < b.key ? -1 : 1));
  return keyed.slice(0, count).map(({ pack }) => pack);
}

function countCopies(findings: readonly Finding[], deps: ScrubDeps): void {
  const damaged = findings.filter((finding) => finding.chunk !== undefined);
  const copies = deps.index.locate(damaged.map((finding) => finding.chunk!));
  for (const [i, finding] of damaged.entries())
    finding.otherCopies = copies[i]!.filter(
      (copy) => copy.store !== finding.store || copy.pack !== finding.pack,
    ).length;
}
