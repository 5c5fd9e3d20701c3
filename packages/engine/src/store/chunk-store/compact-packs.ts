/**
 * Keeps packs in shape: those that lost frames are rewritten, small ones merged. Order: copy live frames into a new pack, make it durable, swap the
 * rows in one transaction that also notes the old files as doomed, and only then unlink them. A crash before the swap leaves a pack that
 * nobody needs, one after it a doomed file: both are removed at the next start.
 */
import type { Clock } from '../../core/clock.ts';
import { EdgeError } from '../../core/errors.ts';
import { failpoint } from '../../core/failpoint.ts';
import { type PackClass, type PackName, toHex, type VaultId } from '../../core/ids.ts';
import { MIB, PACK_LOCAL_BYTES_TARGET } from '../../core/limits.ts';
import type { ChunkIndex, FrameRow, PackRow } from '../../core/ports/index.ts';
import type { SealedAddress } from '../../core/ports/sealed-source.ts';
import { FRAME_HEADER_BYTES, INDEX_ENTRY_BYTES } from '../../pack/layout.ts';
import { removeIfThere } from '../durable-write.ts';
import { fetchFrames } from './fetch-frames.ts';
import { createPackFile, type PackFileWriter, type WrittenPack } from './pack-file-writer.ts';
import type { PackFolder } from './pack-folder.ts';
import type { PackFormat } from './pack-format.ts';
import { sha256Matches } from './sealed-hash.ts';

export interface CompactDeps {
  readonly folder: PackFolder;
  readonly format: PackFormat;
  readonly index: Pick<
    ChunkIndex,
    'addPack' | 'framesOf' | 'locate' | 'markBad' | 'packByName' | 'packs' | 'swapPacks'
  > & {
    packUnlinked(name: PackName): void;
  };
  readonly vault: VaultId;
  readonly clock: Clock;
}

/** A pack is rewritten when less than this part of it is live. */
const LIVE_PART_MIN = 0.6;
/** Packs below this size are small. */
const SMALL_PACK_BYTES = PACK_LOCAL_BYTES_TARGET / 4;
/** Merging fewer than these would rewrite the same bytes again and again. */
const SMALL_PACKS_MIN = 8;

/** Rewrites those of the packs that lost much, and removes the empty ones. Returns the bytes that the file system got back. */
export async function compactPacks(
  names: readonly PackName[],
  deps: CompactDeps,
  signal?: AbortSignal,
): Promise<number> {
  let freed = 0;
  const rewritten = new Map<PackClass, PackRow[]>([
    ['data', []],
    ['meta', []],
  ]);
  for (const name of names) {
    const pack = deps.index.packByName(name);
    if (pack === undefined || pack.store !== '') continue;
    if (!deps.format.isKnown(name)) continue;
    const live = liveBytes(deps.index.framesOf(name));
    if (live > 0 && live >= pack.bytes * LIVE_PART_MIN) continue;
    rewritten.get(pack.packClass)!.push(pack);
  }
  for (const packs of rewritten.values()) {
    for (const group of groupsOf(packs, (pack) => liveBytes(deps.index.framesOf(pack.name)))) {
      signal?.throwIfAborted();
      freed += await rewrite(group, deps);
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
    const small = deps.index.packs('').filter((pack) => pack.packClass === packClass && pack.bytes < SMALL_PACK_BYTES);
    if (small.length < SMALL_PACKS_MIN) continue;
    const readable = small.filter((pack) => deps.format.isKnown(pack.name));
    for (const group of groupsOf(readable, (pack) => pack.bytes)) {
      if (group.length < 2) continue;
      signal?.throwIfAborted();
      await rewrite(group, deps);
      merged += group.length;
      bytes += group.reduce((sum, pack) => sum + pack.bytes, 0);
    }
  }
  return { merged, bytes };
}

/** Replaces packs of one class by one with their live frames (none when nothing is live); returns the bytes freed. */
async function rewrite(packs: readonly PackRow[], deps: CompactDeps): Promise<number> {
  const written = await copyLiveFrames(packs, deps);
  failpoint('compact.copied');
  // Where one pack had all the frames of the others, the copy has its content and so its name: then it stays.
  const going = packs.filter((pack) => pack.name !== written?.name);
  try {
    deps.index.swapPacks(
      going.map((pack) => pack.name),
      written === undefined ? [] : [{ pack: rowOf(written, packs, deps.clock), frames: written.frames }],
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
  return freed;
}

async function copyLiveFrames(packs: readonly PackRow[], deps: CompactDeps): Promise<WrittenPack | undefined> {
  let file: PackFileWriter | undefined;
  const copied = new Set<string>();
  try {
    for (const pack of packs) {
      const rows = new Map(deps.index.framesOf(pack.name).map((row) => [toHex(row.id), row]));
      const addresses = [...rows.values()].map((row) => addressOf(row, pack.name));
      for await (const outcome of fetchFrames(addresses, deps)) {
        const row = rows.get(toHex(outcome.address.id))!;
        if (!('sealed' in outcome)) {
          // Marked bad by the reader; its row goes with the pack. A copy that is only unreadable now must not be given up.
          if (outcome.reason === 'damaged') continue;
          throw new EdgeError('E_IO', `pack ${pack.name.slice(0, 8)} went away while it was compacted`, {
            retryable: true,
          });
        }
        if (copied.has(toHex(row.id))) continue;
        if (!sha256Matches(outcome.sealed, row.sealedSha256)) {
          deps.index.markBad(row.id, pack.name, 'its bytes are not those that were stored');
          continue;
        }
        file ??= await createPackFile(deps.folder, deps.vault, pack.packClass);
        await file.add({
          id: row.id,
          packClass: pack.packClass,
          keyId: row.keyId,
          bytes: outcome.sealed,
          sha256: row.sealedSha256,
          identified: row.identified,
        });
        copied.add(toHex(row.id));
      }
    }
  } catch (error) {
    await file?.discard();
    throw error;
  }
  return file?.finish();
}

/** The merged pack is as old as the oldest of its parts: compaction does not make data young. */
function rowOf(written: WrittenPack, packs: readonly PackRow[], clock: Clock): PackRow {
  let createdNs = clock.nowNs();
  for (const pack of packs) if (pack.createdNs < createdNs) createdNs = pack.createdNs;
  const { name, packClass, bytes, frames } = written;
  return { name, store: '', packClass, bytes, frames: frames.length, createdNs };
}

/** Groups of which each fits into one pack, in the order given. */
function groupsOf(packs: readonly PackRow[], bytesOf: (pack: PackRow) => number): PackRow[][] {
  const groups: PackRow[][] = [];
  let open: PackRow[] = [];
  let sum = 0;
  for (const pack of packs) {
    const bytes = bytesOf(pack);
    if (open.length > 0 && sum + bytes > PACK_LOCAL_BYTES_TARGET + MIB) {
      groups.push(open);
      open = [];
      sum = 0;
    }
    open.push(pack);
    sum += bytes;
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
