/** What the parts of one running restore share: its dependencies, its figures, and the rules for names that are taken. */
import type { TreeReader } from '../browse/tree-reader.ts';
import type { ErrorCode } from '../core/errors.ts';
import { toHex } from '../core/ids.ts';
import type { ReportProgress, ReportWarning } from '../core/ports/progress.ts';
import type { SealedSource, SourceKind } from '../core/ports/sealed-source.ts';
import type { WorkerPool } from '../core/ports/worker-pool.ts';
import type { KeepRule } from '../pipeline/tasks/extract-check.ts';
import type { Collision } from '../pipeline/tasks/extract-files.ts';
import type { PipelineTasks } from '../pipeline/tasks.ts';
import { PARTIAL_PREFIX } from '../policy/partial-name.ts';
import { createEarlySync, type EarlySync } from './early-sync.ts';
import { createFailureList, type FailureList } from './failure-list.ts';
import { createGate, createStopSwitch, type Gate, type StopSwitch } from './gate.ts';
import type { RestoreDeps, RestorePlan } from './restore-types.ts';
import { itemPath, type WindowItem } from './windows.ts';

export interface RestoreRun {
  readonly plan: RestorePlan;
  readonly pool: WorkerPool<PipelineTasks>;
  readonly reader: TreeReader;
  /** Where entries are created. */
  readonly root: Uint8Array;
  /** How what is there already is judged; undefined when there cannot be anything. */
  readonly rule: KeepRule | undefined;
  /** A stopped run came this way: what it finished is verified, what it left half-done is removed. */
  readonly resume: boolean;
  readonly removeExtras: boolean;
  readonly failures: FailureList;
  readonly counts: RestoreCounts;
  readonly stop: StopSwitch;
  readonly earlySync: EarlySync;
  /** Tasks under way in the workers. */
  readonly tasks: Gate;
  /** Batches whose chunks are being fetched by the main thread. */
  readonly fetches: Gate;
  readonly signal: AbortSignal | undefined;
  readonly warn: ReportWarning;
  /** Names of in-place temporary files: the restore's prefix and a number of their own. */
  collision(): Collision;
  reportProgress(): void;
  /** An item that could not be restored; one of several names of an entry is then no longer linked to. `counts` as in the failure list. */
  failItem(item: WindowItem, failure: { readonly code: ErrorCode; readonly message: string }, counts?: boolean): void;
  /** Hex keys of hard-linked entries whose first name does not have the snapshot's content. */
  readonly noFirstName: Set<string>;
}

export interface RestoreCounts {
  restored: number;
  skipped: number;
  removed: number;
  written: number;
  ownersKept: number;
  readonly from: Record<SourceKind, number>;
}

/** Two tasks a worker: one running, one waiting, so that no worker idles while the main thread packs the next batch. */
const TASKS_PER_WORKER = 2;
/** Fetched batches in memory: 4 times at most 8 MiB, sealed. */
const FETCHES_MAX = 4;

export function createRun(plan: RestorePlan, reader: TreeReader, deps: RestoreDeps): RestoreRun {
  const { target, input } = plan;
  const stop = createStopSwitch(target.target, deps.signal);
  const failures = createFailureList();
  const counts: RestoreCounts = {
    restored: 0,
    skipped: 0,
    removed: 0,
    written: 0,
    ownersKept: 0,
    from: { local: 0, peers: 0, s3: 0 },
  };
  const noFirstName = new Set<string>();
  const earlySync = createEarlySync(target.tree);
  let temporary = 0;
  return {
    plan,
    pool: deps.pool,
    reader,
    root: target.tree,
    rule: input.inPlace?.overwrite ?? (target.resume ? 'resume' : undefined),
    resume: target.resume,
    // What could not be read at capture is missing from the tree, and would look like an extra.
    removeExtras: input.inPlace?.delete === true && input.body.failed === 0,
    failures,
    counts,
    stop,
    earlySync,
    tasks: createGate(deps.pool.size * TASKS_PER_WORKER, stop),
    fetches: createGate(FETCHES_MAX, stop),
    signal: deps.signal,
    warn: deps.warn,
    collision() {
      if (target.kind !== 'in-place') return { how: target.resume ? 'replace' : 'fail' };
      return { how: 'rename', prefix: `${PARTIAL_PREFIX}${target.id}.${temporary++}-` };
    },
    failItem(item, failure, counts = true) {
      failures.add(itemPath(item), failure, counts);
      if (counts && item.entry.hardLink !== undefined) noFirstName.add(toHex(item.entry.hardLink));
    },
    noFirstName,
    reportProgress() {
      earlySync.note(counts.written);
      const report: ReportProgress | undefined = deps.progress;
      report?.({
        phase: 'restore',
        filesDone: counts.restored + counts.skipped + failures.failedFiles,
        bytesDone: counts.written,
        ...(plan.totals === undefined ? {} : { filesTotal: plan.totals.files, bytesTotal: plan.totals.bytes }),
      });
    },
  };
}

/** The sources that the restore may read from, in order of cost. */
export function chosenSources(
  sources: readonly SealedSource[],
  from: 'auto' | SourceKind | undefined,
): readonly SealedSource[] {
  return from === undefined || from === 'auto' ? sources : sources.filter((source) => source.kind === from);
}
