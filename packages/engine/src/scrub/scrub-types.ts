/** What a scrub is asked, needs and reports. */
import type { TreeReader } from '../browse/tree-reader.ts';
import type { RandomBytes } from '../core/clock.ts';
import type { ErrorCode } from '../core/errors.ts';
import type { ChunkId, HexId, PackClass, PackName, RecordHash } from '../core/ids.ts';
import type { ChunkStore } from '../core/ports/chunk-store.ts';
import type { ChunkIndex, LogIndex, SnapshotRow, StoreName } from '../core/ports/index.ts';
import type { ReportProgress, ReportWarning } from '../core/ports/progress.ts';
import type { MissReason, SealedSource } from '../core/ports/sealed-source.ts';
import type { WorkerPool } from '../core/ports/worker-pool.ts';
import type { PipelineTasks } from '../pipeline/tasks.ts';

export interface ScrubInput {
  /** `all`, or the fraction of each store's packs to read, above 0 and at most 1 (at least one pack). */
  readonly mode: 'all' | { readonly sample: number };
  /** Fetch good copies of damaged chunks from elsewhere and store them on this disk, or in the store that lost them. */
  readonly repair: boolean;
  /** Nothing is repaired, and what is found is not noted in the index either. */
  readonly dryRun?: boolean;
}

/** A store other than this disk whose packs are read over the network. */
export interface ScrubStore {
  readonly store: StoreName;
  readonly label: string;
  /** Throws unless it is the place that packs were put into. Nothing there is called missing before. */
  requireIdentity(signal?: AbortSignal): Promise<void>;
  /** A range of a pack; undefined when the pack is not there. */
  readRange(
    pack: { readonly name: PackName; readonly packClass: PackClass },
    range: { readonly offset: number; readonly length: number },
    signal?: AbortSignal,
  ): Promise<Uint8Array | undefined>;
  /**
   * The pass that puts what the store lacks: all that is held, or trees and chain only. Undefined where no pass puts
   * anything there.
   */
  readonly refill?: { readonly scope: 'all' | 'meta'; run(signal: AbortSignal | undefined): Promise<void> } | undefined;
}

/** A place that may have a copy besides those that the index knows. */
export interface ScrubPlace {
  readonly label: string;
  /** Undefined when there is no way to ask it. */
  readonly source: SealedSource | undefined;
  /** It may have chunks of this agent that no answer here tells of: it could not be asked now, or the index is being learned again. */
  readonly mayKnowMore: boolean;
}

/** Where chunks are besides this agent's own stores. */
export interface ScrubPlaces {
  /** A snapshot of this agent: what others have of it they have stated. */
  isOwn(snapshot: SnapshotRow): boolean;
  /** A member has all of it. */
  isWholeElsewhere(snapshot: SnapshotRow): Promise<boolean>;
  /** The chain of the snapshot's agent holds the chunk in its shard, or, of another agent's snapshot, anybody does. */
  isHeld(snapshot: SnapshotRow, id: ChunkId): boolean;
  /** The newest answer of a target says that it has the chunk. */
  isPlaced(id: ChunkId): boolean;
  readonly others: readonly ScrubPlace[];
}

export interface ScrubDeps {
  readonly index: Pick<
    ChunkIndex,
    | 'allCopies'
    | 'allFramesOf'
    | 'beginSession'
    | 'endSession'
    | 'forgetBadCopies'
    | 'forgetPack'
    | 'framesOf'
    | 'liftMarks'
    | 'liftPackMarks'
    | 'locate'
    | 'markCopies'
    | 'markPacks'
    | 'marksOf'
    | 'noteVerified'
    | 'packByName'
    | 'packs'
    | 'settleLosses'
    | 'unknownPacks'
  >;
  readonly places: ScrubPlaces;
  readonly log: Pick<LogIndex, 'snapshots'>;
  /**
   * Forgets copies that are damaged or gone, of chunks that nobody holds any more; answers which: they are no
   * findings.
   */
  readonly forgetUnwanted: () => ReadonlySet<HexId>;
  readonly chunks: Pick<ChunkStore, 'openWriter' | 'packPath' | 'requireFolder' | 'verify'>;
  readonly stores: readonly ScrubStore[];
  readonly pool: WorkerPool<PipelineTasks>;
  /** Reads trees, to name files, and good copies, for repair. Of all sources: a copy that was marked bad is no longer offered by its own. */
  readonly reader: TreeReader;
  readonly random: RandomBytes;
  readonly warn: ReportWarning;
  readonly progress?: ReportProgress | undefined;
  readonly signal?: AbortSignal | undefined;
  /** For the time of verification. */
  readonly nowNs: () => bigint;
  /** Milliseconds that never go back. */
  readonly monotonicMs: () => number;
}

export interface ScrubFinding {
  /** `''` is this disk. */
  readonly store: StoreName;
  readonly pack: PackName;
  /** `missing`: the pack is gone. `index`: its header, index or footer; its frames may be good. `chunk`: one frame. */
  readonly what: 'missing' | 'index' | 'chunk';
  readonly reason: MissReason;
  readonly chunk?: ChunkId;
  readonly offset?: number;
  readonly detail: string;
  /** Other good copies in this agent's stores, after this one was marked. */
  readonly otherCopies: number;
  readonly repaired: boolean;
}

export interface ScrubbedFile {
  /** `lost`: a chunk of it is in no place at all. `damaged`: a copy was found bad or could not be read, and this agent's stores have no other. */
  readonly state: 'damaged' | 'lost';
  readonly snapshot: RecordHash;
  readonly root: string;
  /** Within the snapshot. Of a folder: a part of its listing is touched. */
  readonly path: Uint8Array;
}

export interface ScrubReport {
  readonly packs: { readonly total: number; readonly read: number };
  readonly bytesRead: number;
  readonly frames: number;
  readonly findings: readonly ScrubFinding[];
  /** Files and folders of live snapshots that need a lost chunk, or a damaged one of which no copy is left in this agent's stores. The first ones. */
  readonly files: readonly ScrubbedFile[];
  readonly filesOmitted: number;
  /** Of a scrub of everything: what live snapshots need and no place has. */
  readonly lost: { readonly chunks: number; readonly ids: ReadonlySet<HexId>; readonly isComplete: boolean };
  /** Of snapshots that are damaged already: chunks that were given up before. */
  readonly givenUp: ReadonlySet<HexId>;
  /** What has no known copy while a place that may have one could not be asked; `unread` folders and lists could not be looked into. */
  readonly unknown: { readonly chunks: number; readonly unread: number; readonly places: readonly string[] };
  /** Stores that could not be read at all. */
  readonly unread: readonly { readonly label: string; readonly code: ErrorCode; readonly message: string }[];
  readonly repaired: number;
  readonly durationS: number;
}
