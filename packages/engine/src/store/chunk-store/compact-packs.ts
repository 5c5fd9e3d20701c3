/**
 * Keeps packs in shape: those that lost frames are rewritten, small ones merged. Order: copy live frames into a new pack, make it durable, swap the
 * rows in one transaction that also notes the old files as doomed, and only then unlink them. A crash before the swap leaves a pack that
 * nobody needs, one after it a doomed file: both are removed at the next start.
 *
 * A file goes only when each frame that has a row, marked or not, was read from the medium, found to be what was stored, and copied in this job. A pack
 * with one frame that is not stays as it is, marks included: it may be the only copy, and it may be readable tomorrow.
 */
import { bytesEqual } from '../../core/bytes.ts';
import { ChunkIdSet } from '../../core/chunk-id-set.ts';
import type { Clock } from '../../core/clock.ts';
import { failpoint } from '../../core/failpoint.ts';
import { type PackClass, type PackName, toHex, type VaultId } from '../../core/ids.ts';
import { MIB, PACK_FRAMES_TARGET, PACK_LOCAL_BYTES_TARGET } from '../../core/limits.ts';
import type { ChunkIndex, FrameRow, KnownPack, PackRow } from '../../core/ports/index.ts';
import type { ReportWarning } from '../../core/ports/progress.ts';
import type { SealedAddress, SealedMiss } from '../../core/ports/sealed-source.ts';
import { FRAME_HEADER_BYTES, INDEX_ENTRY_BYTES } from '../../pack/layout.ts';
import { removeIfThere } from '../durable-write.ts';
import { type FetchDeps, verifyFrames } from './fetch-frames.ts';
import { createPackFile, type PackFileWriter, type WrittenPack } from './pack-file-writer.ts';
import type { PackFolder } from './pack-folder.ts';
import type { PackFormat } from './pack-format.ts';

export interface CompactDeps {
  readonly folder: PackFolder;
  readonly format: PackFormat;
  readonly index: FetchDeps['index'] &
    Pick<
      ChunkIndex,
      'addPack' | 'allFramesOf' | 'framesOf' | 'locate' | 'marksOf' | 'packs' | 'settleLosses' | 'swapPacks'
    > & {
      packUnlinked(name: PackName): void;
    };
  readonly vault: VaultId;
  readonly clock: Clock;
  readonly warn: ReportWarning;
}

/** A pack is rewritten when less than this part of it is live. */
const LIVE_PART_MIN = 0.6;
/** Packs below this size are small. */
const SMALL_PACK_BYTES = PACK_LOCAL_BYTES_TARGET / 4;
const SMALL_PACK_FRAMES = PACK_FRAMES_TARGET / 4;
/** Merging fewer than these would rewrite the same bytes again and again. */
const SMALL_PACKS_MIN = 8;

/** Rewrites those of the packs that lost much, and removes the empty ones. Returns the bytes that the file system got back. */
export async function compactPacks(
  names: readonly PackName[],
  deps: CompactDeps,
  signal?: AbortSignal,
): Promise<number> {
  let freed = 0;
  const rewritten = new Map<PackClass, KnownPack[]>([
    ['data', []],
    ['meta', []],
  ]);
  for (const name of names) {
    const pack = deps.index.packByName(name);
    if (pack === undefined || pack.store !== '') continue;
    if (!deps.format.isKnown(name) || !mayBeReplaced(pack, deps)) continue;
    const live = liveBytes(deps.index.framesOf(name));
    if (live > 0 && live >= pack.bytes * LIVE_PART_MIN) continue;
    rewritten.get(pack.packClass)!.push(pack);
  }
  for (const packs of rewritten.values()) {
    for (const group of groupsOf(packs, (pack) => liveBytes(deps.index.framesOf(pack.name)))) {
      signal?.throwIfAborted();
      freed += (await rewrite(group, deps)).freed;
    }
  }
  return freed;
}

/** Merges small packs of a class into full ones, when there are enough of them. */
export async function mergeSmallPacks(
  deps: CompactDeps,
  signal?: AbortSignal,
): Promise<{ merged: number; bytes: number }> {
  let merged = 0;
  let bytes = 0;
  for (const packClass of ['data', 'meta'] as const) {
    const small = deps.index
      .packs('')
      .filter((pack) => pack.packClass === packClass && isSmall(pack) && pack.marked === undefined);
    if (small.length < SMALL_PACKS_MIN) continue;
    const readable = small.filter((pack) => deps.format.isKnown(pack.name) && mayBeReplaced(pack, deps));
    for (const group of groupsOf(readable, (pack) => pack.bytes)) {
      if (group.length < 2) continue;
      signal?.throwIfAborted();
      const done = await rewrite(group, deps, 2);
      merged += done.packs.length;
      bytes += done.packs.reduce((sum, pack) => sum + pack.bytes, 0);
    }
  }
  deps.index.settleLosses();
  return { merged, bytes };
}

function isSmall({ bytes, frames }: PackRow): boolean {
  return bytes < SMALL_PACK_BYTES && frames < SMALL_PACK_FRAMES;
}

/** A look at the rows: the pack is there, and what is damaged in it has a good copy elsewhere on this disk. */
function mayBeReplaced(pack: KnownPack, deps: CompactDeps): boolean {
  if (pack.marked !== undefined) return false;
  const marks = deps.index.marksOf(pack.name);
  if (marks.some(({ reason }) => reason !== 'damaged')) return false;
  return deps.index.locate(marks.map(({ id }) => id)).every((copies) => copies.some(({ store }) => store === ''));
}

interface Rewritten {
  /** Those that were replaced. */
  readonly packs: readonly PackRow[];
  readonly freed: number;
}

/**
 * Replaces packs of one class by one with their live frames (none when nothing is live). Packs of which a frame cannot be copied stay; when fewer than
 * `packsMin` are left, all do.
 */
async function rewrite(group: readonly PackRow[], deps: CompactDeps, packsMin = 1): Promise<Rewritten> {
  let packs = group;
  let written: WrittenPack | undefined;
  for (;;) {
    if (packs.length < packsMin) return { packs: [], freed: 0 };
    const copied = await copyLiveFrames(packs, deps);
    if (copied.problems.size === 0) {
      written = copied.written;
      break;
    }
    for (const [name, problem] of copied.problems) {
      deps.warn({
        code: 'W_PACK_KEPT',
        message: `pack ${name.slice(0, 8)} stays as it is, because not all of it could be copied: ${problem}`,
      });
    }
    packs = packs.filter((pack) => !copied.problems.has(pack.name));
  }
  failpoint('compact.copied');
  // Where one pack had all the frames of the others, the copy has its content and so its name: then it stays.
  const going = packs.filter((pack) => pack.name !== written?.name);
  try {
    deps.index.swapPacks(
      going.map((pack) => pack.name),
      written === undefined ? [] : [{ pack: rowOf(written), frames: written.frames }],
    );
  } catch (error) {
    if (written !== undefined && deps.index.packByName(written.name) === undefined) {
      await removeIfThere(deps.folder.packFile(written.name));
    }
    throw error;
  }
  let freed = going.length === packs.length ? -(written?.bytes ?? 0) : 0;
  for (const pack of going) {
    // Stored again meanwhile, it is a pack of its own right.
    if (deps.index.packByName(pack.name) !== undefined) continue;
    if (await removeIfThere(deps.folder.packFile(pack.name))) freed += pack.bytes;
    failpoint('compact.unlinked');
    deps.index.packUnlinked(pack.name);
  }
  return { packs, freed };
}

interface Copied {
  readonly written: WrittenPack | undefined;
  /** Packs that cannot be given up, with the reason; then nothing was written. */
  readonly problems: ReadonlyMap<PackName, string>;
}

async function copyLiveFrames(packs: readonly PackRow[], deps: CompactDeps): Promise<Copied> {
  let file: PackFileWriter | undefined;
  const copied = new ChunkIdSet();
  const problems = new Map<PackName, string>();
  try {
    for (const pack of packs) {
      const rows = new Map(deps.index.allFramesOf(pack.name).map((row) => [toHex(row.id), row]));
      const addresses = [...rows.values()].map((row) => addressOf(row, pack.name));
      for await (const outcome of verifyFrames(addresses, deps)) {
        const good = 'sealed' in outcome ? outcome.sealed : await sameElsewhere(outcome, rows, deps);
        if (good === undefined) {
          problems.set(pack.name, (outcome as SealedMiss).detail);
          continue;
        }
        // After a problem the rest is only looked at, so that one pass finds all packs that have to stay.
        if (problems.size > 0) continue;
        const row = rows.get(toHex(outcome.address.id))!;
        if (copied.has(row.id)) continue;
        file ??= await createPackFile(deps.folder, deps.vault, pack.packClass);
        await file.add({
          id: row.id,
          packClass: pack.packClass,
          keyId: row.keyId,
          bytes: good,
          sha256: row.sealedSha256,
          identified: row.identified,
        });
        copied.add(row.id);
      }
    }
    if (problems.size === 0) return { written: await file?.finish(youngestOf(packs)), problems };
  } catch (error) {
    await file?.discard();
    throw error;
  }
  await file?.discard();
  return { written: undefined, problems };
}

/**
 * For a frame that its hash calls damaged: the same sealed bytes from another pack on this disk, read now. Nothing stands in for a frame that could not be
 * read, because it may be good.
 */
async function sameElsewhere(
  miss: SealedMiss,
  rows: ReadonlyMap<string, FrameRow>,
  deps: CompactDeps,
): Promise<Uint8Array | undefined> {
  if (miss.reason !== 'damaged') return undefined;
  const { sealedSha256 } = rows.get(toHex(miss.address.id))!;
  const others = deps.index
    .locate([miss.address.id])[0]!
    .filter(
      (copy) => copy.store === '' && copy.pack !== miss.address.pack && bytesEqual(copy.sealedSha256, sealedSha256),
    );
  for await (const outcome of verifyFrames(others, deps)) if ('sealed' in outcome) return outcome.sealed;
  return undefined;
}

/** The merged pack is as young as the youngest of its parts: no chunk may look older than it is, else it would leave this disk before its time. */
function youngestOf(packs: readonly PackRow[]): bigint {
  return packs.reduce((youngest, { createdNs }) => (createdNs > youngest ? createdNs : youngest), 0n);
}

function rowOf({ name, packClass, bytes, frames, storedNs }: WrittenPack): PackRow {
  return { name, store: '', packClass, bytes, frames: frames.length, createdNs: storedNs };
}

/** Groups of which each fits into one pack, in the order given. */
function groupsOf(packs: readonly PackRow[], bytesOf: (pack: PackRow) => number): PackRow[][] {
  const groups: PackRow[][] = [];
  let open: PackRow[] = [];
  let sum = 0;
  let frames = 0;
  for (const pack of packs) {
    const bytes = bytesOf(pack);
    const isFull = sum + bytes > PACK_LOCAL_BYTES_TARGET + MIB || frames + pack.frames > PACK_FRAMES_TARGET;
    if (open.length > 0 && isFull) {
      groups.push(open);
      open = [];
      sum = 0;
      frames = 0;
    }
    open.push(pack);
    sum += bytes;
    frames += pack.frames;
  }
  if (open.length > 0) groups.push(open);
  return groups;
}

function liveBytes(frames: readonly FrameRow[]): number {
  return frames.reduce((sum, frame) => sum + frame.sealedBytes + FRAME_HEADER_BYTES + INDEX_ENTRY_BYTES, 0);
}

function addressOf(row: FrameRow, pack: PackName): SealedAddress {
  return { id: row.id, keyId: row.keyId, sealedBytes: row.sealedBytes, pack, offset: row.offset };
}
