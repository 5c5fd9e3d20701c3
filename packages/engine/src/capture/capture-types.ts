/** What a capture is asked, what it needs, and what it answers. */
import type { Clock } from '../core/clock.ts';
import type { AgentId, RecordHash } from '../core/ids.ts';
import type { ChunkStore } from '../core/ports/chunk-store.ts';
import type { ChunkIndex, FolderCache, KeyValue, LogIndex } from '../core/ports/index.ts';
import type { ReportProgress, ReportWarning } from '../core/ports/progress.ts';
import type { WorkerPool } from '../core/ports/worker-pool.ts';
import type { PipelineTasks } from '../pipeline/tasks.ts';
import type { Chains, OwnChain } from '../ports/chains.ts';
import type { Placed } from '../ports/placed.ts';

export interface CaptureInput {
  readonly root: CaptureRoot;
  /** Read every file again, whatever the index remembers. */
  readonly fullScan?: boolean;
  readonly tags?: Readonly<Record<string, string>>;
  /** More removed files than this are taken for an accident (E_DELETE_GUARD). Default: half of the last snapshot's, and more than 100. */
  readonly maxDelete?: MaxDelete;
  /** Capture a root that has become empty all the same. */
  readonly acceptEmpty?: boolean;
  /** Only look: nothing is read, stored or recorded, and there is no snapshot. */
  readonly dryRun?: boolean;
  /** Write no snapshot when the tree is the same as the last one's; the report then names that one. */
  readonly skipUnchanged?: boolean;
  /** A first capture writes a snapshot of what it has so far so often, so that it can be killed and go on. Default 10 minutes. */
  readonly unfinishedEveryMs?: number;
  /** Name and version of the program, for the record. */
  readonly program: string;
}

export interface CaptureRoot {
  readonly name: string;
  /** Absolute. A symlink there is followed, once. */
  readonly path: Uint8Array;
  /** Patterns in gitignore syntax. */
  readonly exclude?: readonly string[];
  readonly oneFileSystem?: boolean;
}

/** Both bounds have to be exceeded when both are given. */
export interface MaxDelete {
  readonly files?: number;
  /** 0 to 100, of the last snapshot's files. */
  readonly percent?: number;
}

export interface CaptureDeps {
  readonly clock: Clock;
  readonly index: {
    readonly chunks: Pick<ChunkIndex, 'beginSession' | 'claim' | 'endSession' | 'locate' | 'lossEpoch'>;
    readonly log: Pick<LogIndex, 'latestSnapshot'>;
    readonly kv: KeyValue;
    readonly folders: FolderCache;
  };
  readonly chunks: Pick<ChunkStore, 'fetch' | 'freeSpace' | 'locate' | 'openWriter'>;
  /** This agent's chain: what a snapshot reaches is held in the root's shard before its record is appended (docs/chain.md 2.2). */
  readonly chain: Pick<OwnChain, 'add' | 'append' | 'blocked' | 'holds' | 'shardOf' | 'sync'>;
  readonly chains: Pick<Chains, 'isHeld'>;
  /** Which targets have a chunk that is not here: it is away, and need not be read again. Without it nothing is away. */
  readonly placed?: Pick<Placed, 'targetsOf'>;
  readonly pool: WorkerPool<PipelineTasks>;
  readonly keys: { readonly currentKeyId: number };
  readonly identity: { readonly agentId: AgentId };
  readonly dataDir: { readonly path: string; readonly packDir: string };
  readonly report?: ReportProgress;
  readonly warn?: ReportWarning;
  readonly signal?: AbortSignal;
}

export interface CaptureReport {
  readonly root: string;
  /** Absent after a dry run. */
  readonly snapshot: RecordHash | undefined;
  readonly seq: number | undefined;
  /** All that is no folder: files, symlinks, FIFOs, devices. `failed` ones keep their earlier version where there was one. */
  readonly files: {
    readonly new: number;
    readonly changed: number;
    readonly unchanged: number;
    readonly removed: number;
    readonly failed: number;
  };
  /** Logical bytes of all files; bytes read; bytes of new chunks before and after compression and sealing. */
  readonly bytes: {
    readonly scanned: number;
    readonly read: number;
    readonly new: number;
    readonly stored: number;
  };
  readonly chunks: { readonly new: number; readonly reused: number };
  /** What could not be read, and files that changed while they were read: when there are any, the command ends with exit code 3. */
  readonly failures: readonly CaptureFailure[];
  /** More failures than are listed. */
  readonly failuresOmitted: number;
  readonly treeUnchanged: boolean;
  readonly durationS: number;
}

export interface CaptureFailure {
  /** Below the root; empty for the root itself. */
  readonly path: Uint8Array;
  /** An errno's name, ECHANGED (replaced while scanned), E_CHANGED_WHILE_READ, or another error's code. */
  readonly code: string;
  readonly message: string;
}

/** Failures listed in a report: a root of which nothing can be read must not fill the memory. */
export const FAILURES_LISTED_MAX = 10_000;
