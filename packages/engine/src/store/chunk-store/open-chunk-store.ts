import type { Clock } from '../../core/clock.ts';
import type { PackName, VaultId } from '../../core/ids.ts';
import { FREE_SPACE_FLOOR_BYTES } from '../../core/limits.ts';
import type { ChunkStore } from '../../core/ports/chunk-store.ts';
import type { ChunkIndex } from '../../core/ports/index.ts';
import type { ReportWarning } from '../../core/ports/progress.ts';
import { createChunkWriter } from './chunk-writer.ts';
import { compactPacks, mergeSmallPacks } from './compact-packs.ts';
import { fetchFrames, verifyFrames } from './fetch-frames.ts';
import { freeSpaceAt } from './free-space.ts';
import { packFolder } from './pack-folder.ts';
import { otherFolder } from './pack-folder-marker.ts';
import { packFormat } from './pack-format.ts';

export interface ChunkStoreDeps {
  /** `DataDir.packDir`; its folders are made by `createDataDir` and `cleanDataDir`. */
  readonly packDir: string;
  readonly index: ChunkIndex & { packUnlinked(name: PackName): void };
  readonly vault: VaultId;
  readonly clock: Clock;
  /** Free bytes below which nothing new is stored; `FREE_SPACE_FLOOR_BYTES` when absent. */
  readonly floorBytes?: number;
  /** Hears of packs that a merge or a compaction had to leave as they are. */
  readonly warn?: ReportWarning;
}

/** The agent's own disk as a store. What a crash left is put right by `reconcileIndex` before this is used. */
export function openChunkStore(deps: ChunkStoreDeps): ChunkStore {
  const floorBytes = deps.floorBytes ?? FREE_SPACE_FLOOR_BYTES;
  const folder = packFolder(deps.packDir, deps.vault);
  const warn = deps.warn ?? (() => {});
  const format = packFormat(folder);
  const inner = { folder, format, index: deps.index, vault: deps.vault, clock: deps.clock, floorBytes, warn };
  // Two rewrites at once could both take the same pack.
  let rewriting: Promise<unknown> = Promise.resolve();
  const oneAtATime = <T>(work: () => Promise<T>): Promise<T> => {
    const turn = rewriting.then(work);
    rewriting = turn.catch(() => {});
    return turn;
  };

  return {
    kind: 'local',
    label: 'local',
    locate: async (ids) =>
      deps.index.addresses('', ids).map((address) => {
        if (address !== undefined) format.require(address.pack);
        return address;
      }),
    fetch: (addresses, signal) => fetchFrames(addresses, inner, signal),
    verify: (addresses, signal) => verifyFrames(addresses, inner, signal),
    packPath: (pack) => folder.packFile(pack),
    requireFolder: async () => {
      if (!(await folder.isThere())) throw otherFolder(folder.path);
    },
    openWriter: (options = {}) => createChunkWriter({ ...inner, ...options }),
    drop: (ids, signal, keeps) =>
      oneAtATime(async () => {
        const { packs, kept } = deps.index.dropLocations('', ids, keeps);
        return { bytesFreed: await compactPacks(packs, inner, signal), kept };
      }),
    mergeSmallPacks: (signal) => oneAtATime(() => mergeSmallPacks(inner, signal)),
    freeSpace: () => freeSpaceAt(deps.packDir, floorBytes),
  };
}
