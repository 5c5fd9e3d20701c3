/**
 * Brings the index in line with what lies on the disk: after a crash, with a stale or an empty index. An empty one is filled by the same steps, so a
 * rebuild that is killed goes on where it was. Runs under the data dir's lock, before anything else uses the index.
 *
 * What only peers or a bucket know (placements, packs in the bucket) is not here: after a rebuild `RELEARN` is set until the flows have asked them.
 */
import { type Clock, formatTimeNs } from '../core/clock.ts';
import { EdgeError } from '../core/errors.ts';
import { failpoint } from '../core/failpoint.ts';
import type { AgentId, PackName, VaultId } from '../core/ids.ts';
import type { ChunkIndex, KeyValue } from '../core/ports/index.ts';
import type { ReportProgress } from '../core/ports/progress.ts';
import { RELEARN } from '../core/relearn.ts';
import type { HashedEnvelope } from '../log/record.ts';
import type { Head, RecordBody } from '../log/record-body.ts';
import { packFolder } from './chunk-store/pack-folder.ts';
import { requirePackFolder } from './chunk-store/pack-folder-marker.ts';
import { type DataDir, packsAreInside } from './data-dir.ts';
import type { IdentifyFrames } from './identify-frames.ts';
import type { LogStore } from './log-store.ts';
import { type AppliedHoldBatch, rebuildHolds } from './rebuild-holds.ts';
import { rebuildLogs } from './rebuild-logs.ts';
import { rebuildPacks } from './rebuild-packs.ts';

/** The parts of the index that a rebuild writes; `openIndex` gives one. */
export interface RebuildableIndex {
  readonly chunks: ChunkIndex & {
    doomedPacks(): PackName[];
    packUnlinked(name: PackName): void;
    restoreNoted(): void;
  };
  readonly log: {
    headOf(agent: AgentId): Head | undefined;
    applyRecord(record: HashedEnvelope, body: RecordBody | undefined): void;
  };
  readonly holds: {
    applyBatch(batch: AppliedHoldBatch): void;
    batchHash(owner: AgentId, incarnation: number, op: number): string | undefined;
    ownerState(owner: AgentId): { readonly logBytes: number } | undefined;
    owners(): AgentId[];
    setIncomplete(why: string | undefined): void;
    incomplete(): string | undefined;
  };
  readonly kv: KeyValue;
  isBuilt(): boolean;
  markBuilt(): void;
  transaction<T>(work: () => T): T;
}

export interface RebuildDeps {
  readonly dataDir: DataDir;
  readonly index: RebuildableIndex;
  readonly log: LogStore;
  readonly vault: VaultId;
  readonly clock: Clock;
  /** Verifies the signature and opens the body; undefined for a record that this agent cannot open (a blind holder). Throws on damage. */
  readonly openRecord: (record: Uint8Array) => RecordBody | undefined;
  /** This agent: a damaged newest record of its own log is thrown, since its next record would stand on it. */
  readonly self?: AgentId;
  /** Opens frames that were found in a damaged pack; without it none of them counts. */
  readonly identify?: IdentifyFrames;
  readonly progress?: ReportProgress;
  readonly signal?: AbortSignal;
}

export interface RebuildReport {
  /** The index was empty or unfinished: everything was read into it. */
  readonly rebuilt: boolean;
  readonly packs: { readonly adopted: number; readonly missing: readonly PackName[]; readonly removed: number };
  readonly records: number;
  readonly holdBatches: number;
  /** What could not be read, each naming its file. The rest is there. */
  readonly problems: readonly EdgeError[];
}

/** E_CONFIG when the pack folder's disk is not mounted, E_FORK for two records with one number, E_NO_SPACE, E_IO. */
export async function reconcileIndex(deps: RebuildDeps): Promise<RebuildReport> {
  const { index } = deps;
  const rebuilt = !index.isBuilt();
  const problems: EdgeError[] = [];
  const expectsPacks = index.chunks.packs('').length > 0;
  if (!packsAreInside(deps.dataDir)) await requirePackFolder(deps.dataDir.packDir, deps.vault, expectsPacks);
  // Until the hold logs are read nobody knows what others hold here, so nothing may be dropped.
  if (rebuilt) index.holds.setIncomplete('the hold logs are not read yet');
  const packs = await rebuildPacks(packFolder(deps.dataDir.packDir, deps.vault), rebuilt, deps, problems);
  failpoint('rebuild.packs-done');
  if (packs.missing.length > 0) {
    problems.push(
      new EdgeError('E_INTEGRITY', `${packs.missing.length} packs are gone from ${deps.dataDir.packDir}`, {
        hint: 'The next sync stores again what is still in the roots; the rest comes from other copies. Status shows it until all of it is there.',
        context: { packs: packs.missing.slice(0, 20) },
      }),
    );
  }
  const records = await rebuildLogs(deps, problems);
  failpoint('rebuild.logs-done');
  const holdBatches = await rebuildHolds(deps, problems);
  failpoint('rebuild.holds-done');
  if (rebuilt) {
    index.transaction(() => {
      // Of a data dir that was just made nothing is to be learned elsewhere.
      if (packs.adopted + records + holdBatches > 0) index.kv.set(RELEARN, formatTimeNs(deps.clock.nowNs()));
      index.chunks.restoreNoted();
      index.markBuilt();
    });
    failpoint('rebuild.marked');
  }
  return { rebuilt, packs, records, holdBatches, problems };
}
