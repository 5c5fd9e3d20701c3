/**
 * Brings the index in line with what lies on the disk: after a crash, with a stale or an empty index. An empty one is filled by the same steps, so a
 * rebuild that is killed goes on where it was. Runs under the data dir's lock, before anything else uses the index.
 *
 * What only peers or a bucket know (their copies, packs in the bucket) is not here: after a rebuild `RELEARN` is set until the flows have asked them.
 */
import { type Clock, formatTimeNs } from '../core/clock.ts';
import { EdgeError, isEdgeError } from '../core/errors.ts';
import { failpoint } from '../core/failpoint.ts';
import type { PackName, VaultId } from '../core/ids.ts';
import type { IdentifyFrames } from '../core/ports/identify-frames.ts';
import type { ChunkIndex, KeyValue } from '../core/ports/index.ts';
import type { ReportProgress } from '../core/ports/progress.ts';
import { RELEARN } from '../core/relearn.ts';
import type { OpenedChainStore } from './chains/open-chain-store.ts';
import { packFolder } from './chunk-store/pack-folder.ts';
import { requirePackFolder } from './chunk-store/pack-folder-marker.ts';
import { type DataDir, packsAreInside } from './data-dir.ts';
import { rebuildPacks } from './rebuild-packs.ts';

/** The parts of the index that a rebuild writes; `openIndex` gives one. */
export interface RebuildableIndex {
  readonly chunks: ChunkIndex & {
    doomedPacks(): PackName[];
    packUnlinked(name: PackName): void;
    restoreNoted(): void;
  };
  readonly kv: KeyValue;
  isBuilt(): boolean;
  markBuilt(): void;
  transaction<T>(work: () => T): T;
}

export interface RebuildDeps {
  readonly dataDir: DataDir;
  readonly index: RebuildableIndex;
  readonly vault: VaultId;
  readonly clock: Clock;
  /** Opens frames that were found in a damaged pack; without it none of them counts. */
  readonly identify?: IdentifyFrames;
  /** Opens the chains after the packs, because holds look at frames. */
  readonly openChains: (isRebuilt: boolean) => Promise<OpenedChainStore>;
  /** Nothing is appended, sent, acknowledged or dropped: on a full disk it goes on with what a built index has. */
  readonly onlyReads?: boolean;
  readonly progress?: ReportProgress;
  readonly signal?: AbortSignal;
}

export interface RebuildReport {
  /** The index was empty or unfinished: everything was read into it. */
  readonly rebuilt: boolean;
  readonly packs: { readonly adopted: number; readonly missing: readonly PackName[]; readonly removed: number };
  /** Entries of chains that the index did not know. */
  readonly entries: number;
  /** Unfinished ends of chains that were moved aside. */
  readonly moved: readonly { readonly path: string; readonly bytes: number }[];
  /** What could not be read, each naming its file. The rest is there. */
  readonly problems: readonly EdgeError[];
}

export interface Reconciled extends Pick<OpenedChainStore, 'chains' | 'own'> {
  readonly report: RebuildReport;
}

/** E_CONFIG when the pack folder's disk is not mounted, E_NO_SPACE, E_IO. */
export async function reconcileIndex(deps: RebuildDeps): Promise<Reconciled> {
  const { index } = deps;
  const rebuilt = !index.isBuilt();
  const problems: EdgeError[] = [];
  const expectsPacks = index.chunks.packs('').length > 0;
  if (!packsAreInside(deps.dataDir)) await requirePackFolder(deps.dataDir.packDir, deps.vault, expectsPacks);
  const packs = await packsInLine(rebuilt, deps, problems);
  failpoint('rebuild.packs-done');
  if (packs.missing.length > 0) {
    problems.push(
      new EdgeError('E_INTEGRITY', `${packs.missing.length} packs are gone from ${deps.dataDir.packDir}`, {
        hint: 'The next sync stores again what is still in the roots; the rest comes from other copies. Status shows it until all of it is there.',
        context: { packs: packs.missing.slice(0, 20) },
      }),
    );
  }
  const { chains, own, report } = await deps.openChains(rebuilt);
  problems.push(...report.problems);
  failpoint('rebuild.chains-done');
  if (rebuilt) {
    index.transaction(() => {
      // Of a data dir that was just made nothing is to be learned elsewhere.
      if (packs.adopted + report.entries > 0) index.kv.set(RELEARN, formatTimeNs(deps.clock.nowNs()));
      index.chunks.restoreNoted();
      index.markBuilt();
    });
    failpoint('rebuild.marked');
  }
  const { entries, moved } = report;
  return { chains, own, report: { rebuilt, packs, entries, moved, problems } };
}

async function packsInLine(
  rebuilt: boolean,
  deps: RebuildDeps,
  problems: EdgeError[],
): Promise<RebuildReport['packs']> {
  try {
    return await rebuildPacks(packFolder(deps.dataDir.packDir, deps.vault), rebuilt, deps, problems);
  } catch (error) {
    if (rebuilt || deps.onlyReads !== true || !isEdgeError(error, 'E_NO_SPACE')) throw error;
    problems.push(error);
    return { adopted: 0, missing: [], removed: 0 };
  }
}
