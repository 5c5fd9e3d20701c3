/** Frames of a pack that lost its index. They are only places to look: a frame counts when it opens to the chunk that its header names. */
import { type FileHandle, open } from 'node:fs/promises';
import { ChunkIdSet } from '../core/chunk-id-set.ts';
import { isEdgeError, toEdgeError } from '../core/errors.ts';
import type { ChunkId, PackClass } from '../core/ids.ts';
import { MIB, PACK_BYTES_MAX } from '../core/limits.ts';
import type { FrameRow } from '../core/ports/index.ts';
import { decodePackHeader } from '../pack/pack-header.ts';
import { type ScannedFrame, scanFrames } from '../pack/scan-frames.ts';
import { readUpTo } from './chunk-store/read-pack-tail.ts';
import type { RebuildDeps } from './rebuild.ts';

export interface FoundPack {
  readonly packClass: PackClass;
  readonly bytes: number;
  readonly storedNs: bigint;
  readonly frames: readonly FrameRow[];
  /** Why the pack as a whole is damaged; undefined for one that is as it was written. */
  readonly damage: string | undefined;
  /** Frames of a damaged pack that do not open, or that nothing here can open: they do not count. */
  readonly unverified: readonly ChunkId[];
}

/** Opened at a time. */
const OPENED_BYTES = 16 * MIB;

/** The frames in front of the damage, by walking over them. Undefined when there are none, or the header is not this vault's. */
export async function salvagePack(
  path: string,
  damage: string,
  deps: Pick<RebuildDeps, 'vault' | 'identify' | 'signal'>,
): Promise<FoundPack | undefined> {
  const read = await readWhole(path);
  if (read === undefined) return undefined;
  const { bytes, modifiedNs } = read;
  try {
    const { vault, packClass } = decodePackHeader(bytes);
    if (vault !== deps.vault) return undefined;
    const frames: FrameRow[] = [];
    const unverified: ChunkId[] = [];
    for (const group of groupsOf(scanFrames(bytes))) {
      deps.signal?.throwIfAborted();
      const good = await deps.identify?.(group);
      for (const [i, { sealed: _sealed, packClass: _class, ...row }] of group.entries()) {
        const identified = good?.[i] === true;
        frames.push({ ...row, identified });
        if (!identified) unverified.push(row.id);
      }
    }
    if (frames.length === 0) return undefined;
    // The time that the pack noted went with its footer.
    return { packClass, bytes: bytes.length, storedNs: modifiedNs, frames, damage, unverified };
  } catch (error) {
    if (isEdgeError(error, 'E_FORMAT', 'E_NEWER_FORMAT')) return undefined;
    throw error;
  }
}

/** The first of each id. */
function* groupsOf(frames: Iterable<ScannedFrame>): Generator<ScannedFrame[]> {
  const seen = new ChunkIdSet();
  let group: ScannedFrame[] = [];
  let bytes = 0;
  for (const frame of frames) {
    if (!seen.add(frame.id)) continue;
    group.push(frame);
    bytes += frame.sealed.length;
    if (bytes < OPENED_BYTES) continue;
    yield group;
    group = [];
    bytes = 0;
  }
  if (group.length > 0) yield group;
}

async function readWhole(path: string): Promise<{ bytes: Buffer; modifiedNs: bigint } | undefined> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, 'r');
    const { size, mtimeNs } = await file.stat({ bigint: true });
    if (size > PACK_BYTES_MAX) return undefined;
    const bytes = Buffer.allocUnsafe(Number(size));
    const filled = await readUpTo(file, bytes, 0);
    return { bytes: bytes.subarray(0, filled), modifiedNs: mtimeNs < 0n ? 0n : mtimeNs };
  } catch (error) {
    throw toEdgeError(error, `reading pack ${path}`);
  } finally {
    await file?.close();
  }
}
