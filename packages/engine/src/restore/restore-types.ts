/** What a restore is asked, plans and reports: plain data, except the functions in the dependencies. */
import type { BadCopy } from '../browse/copy-router.ts';
import type { Opener } from '../codec/open.ts';
import type { ErrorCode } from '../core/errors.ts';
import type { RecordHash } from '../core/ids.ts';
import type { ReportProgress, ReportWarning } from '../core/ports/progress.ts';
import type { SealedSource, SourceKind } from '../core/ports/sealed-source.ts';
import type { WorkerPool } from '../core/ports/worker-pool.ts';
import type { SnapshotBody } from '../log/record-body.ts';
import type { PipelineTasks } from '../pipeline/tasks.ts';
import type { PathFilter } from '../policy/path-filter.ts';
import type { Entry } from '../tree/entry.ts';

export type Overwrite = 'never' | 'if-changed' | 'if-newer' | 'always';

export interface RestoreInput {
  readonly snapshot: RecordHash;
  readonly body: SnapshotBody;
  /** Path inside the snapshot, as bytes; absent or empty for all of it. */
  readonly subpath?: Uint8Array;
  /**
   * Absolute path, as bytes. Fresh: the folder that gets the contents; it must be absent or empty. In place: the folder (or, for one file, the
   * file) that is brought back to what the snapshot has.
   */
  readonly target: Uint8Array;
  /** Absent: a fresh target. */
  readonly inPlace?: { readonly overwrite: Overwrite; readonly delete: boolean };
  /** Patterns in gitignore syntax, relative to what is restored. Folders that only lead to a selected entry are made too. */
  readonly include?: readonly string[];
  readonly exclude?: readonly string[];
  /** Sources that may be read. Absent or `auto`: all. */
  readonly from?: 'auto' | SourceKind;
  /** Also count what there is to do, by walking the tree and asking the sources. */
  readonly estimate?: boolean;
  /** With `inPlace.delete`: extra items that are left alone, such as what the root's ignore rules name. */
  readonly protect?: (path: Uint8Array, isFolder: boolean) => boolean;
}

export interface RestoreDeps {
  /** In order of cost: own disk, peers, buckets. */
  readonly sources: readonly SealedSource[];
  readonly opener: Opener;
  readonly pool: WorkerPool<PipelineTasks>;
  readonly warn: ReportWarning;
  readonly progress?: ReportProgress | undefined;
  readonly signal?: AbortSignal | undefined;
  /** A copy that was missing or damaged, so that the index stops offering it. */
  readonly onBadCopy?: ((bad: BadCopy) => void) | undefined;
  /** Absolute paths that no restore may touch: the data dir and the pack dir. */
  readonly keepOut: readonly string[];
  /** Milliseconds that never go back. */
  readonly monotonicMs: () => number;
}

export interface RestorePlan {
  readonly input: RestoreInput;
  /** What is restored: a folder, or an artificial folder around the one file. */
  readonly top: Entry;
  /** The entry has metadata of its own to put on the target (false for the artificial folder). */
  readonly topHasMeta: boolean;
  /** Set when one thing is restored that is no folder: its entry under its name. */
  readonly single: Entry | undefined;
  /** Which entries; undefined for all. */
  readonly filter: PathFilter | undefined;
  readonly target: TargetPlan;
  /** Known when all of the snapshot is restored, or after an estimate. */
  readonly totals: { readonly files: number; readonly bytes: number } | undefined;
  readonly estimate: RestoreEstimate | undefined;
}

export interface RestoreEstimate {
  readonly entries: number;
  readonly files: number;
  /** Bytes of content to write. */
  readonly bytes: number;
  /** Sealed bytes to read, each chunk once, from the cheapest source that has it. */
  readonly bytesFrom: Readonly<Record<SourceKind, number>>;
  /** Ranges to read there: neighbouring chunks of one pack are one request. */
  readonly requests: Readonly<Record<SourceKind, number>>;
  /** Chunks that no source has now, and the files that need them (the first ones). */
  readonly missingChunks: number;
  readonly missingFiles: readonly Uint8Array[];
}

/** How the target is filled. */
export interface TargetPlan {
  /** `sibling`: absent, built beside and renamed once. `inside`: empty, built inside and its entries renamed. `in-place`: file by file. */
  readonly kind: 'sibling' | 'inside' | 'in-place';
  /** Absolute, with links in it resolved. */
  readonly target: Uint8Array;
  /** The folder with the marker (fresh kinds), or the marker file itself (in place). */
  readonly partial: Uint8Array;
  /** Where entries are created: `partial/tree`, or the target. */
  readonly tree: Uint8Array;
  /** An earlier run of the same restore was stopped here. */
  readonly resume: boolean;
  /** 16 hex digits, the same for the same restore. */
  readonly id: string;
}

export interface RestoreFailure {
  /** Relative to what is restored. */
  readonly path: Uint8Array;
  readonly code: ErrorCode;
  readonly message: string;
}

export interface RestoreReport {
  readonly snapshot: RecordHash;
  readonly root: string;
  /** Absolute, as bytes. */
  readonly target: Uint8Array;
  /** Everything that is no folder counts as a file here. */
  readonly files: { readonly restored: number; readonly skipped: number; readonly failed: number };
  /** `written`: content written; `from`: the same bytes by where their chunks came from. */
  readonly bytes: { readonly written: number; readonly from: Readonly<Record<SourceKind, number>> };
  readonly failures: readonly RestoreFailure[];
  /** Failures beyond the ones listed. */
  readonly failuresOmitted: number;
  /** Extra items that `--delete` took away, each with all in it counted once. */
  readonly removed: number;
  readonly durationS: number;
}
