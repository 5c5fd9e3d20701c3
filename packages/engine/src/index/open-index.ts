/**
 * The index of an agent: SQLite, one writer, on stable storage when a writing call returns. It caches what packs and chains say and is thrown away when
 * it is of no use (`docs/formats/index.md`).
 */
import type { Clock } from '../core/clock.ts';
import { EdgeError } from '../core/errors.ts';
import type { VaultId } from '../core/ids.ts';
import type { FrameWatcher } from '../core/ports/frame-watcher.ts';
import type { FolderCache, KeyValue } from '../core/ports/index.ts';
import type { MarkNotes } from '../core/ports/mark-notes.ts';
import type { BeliefIndex, OwedIndex } from '../ports/beliefs.ts';
import type { BodyBytes, ChainTable, CheckedCheckpoints, ReleaseTurn } from '../ports/chain-index.ts';
import type { ReleasedIndex } from '../ports/released.ts';
import { beliefIndex } from './belief-index.ts';
import { watchBeliefs } from './belief-loss.ts';
import { type BucketIndexTable, bucketIndex, ownPlaces } from './bucket-index.ts';
import { chainTable } from './chain-table.ts';
import { checkedCheckpoints } from './checked-checkpoints.ts';
import { type ChunkIndexTable, chunkIndex } from './chunk-index.ts';
import { markOpen, openDatabase } from './database.ts';
import { folderCache } from './folder-cache.ts';
import { frameTable } from './frame-table.ts';
import { type HoldIndexTable, holdIndex } from './hold-index.ts';
import { keyValueTable } from './key-value.ts';
import { type LogIndexTable, logIndex } from './log-index.ts';
import { owedIndex } from './owed-index.ts';
import { releaseMarks } from './release-marks.ts';
import { releasedIndex } from './released-index.ts';
import { withSqliteErrors } from './sqlite-errors.ts';

export interface Index {
  readonly chunks: ChunkIndexTable;
  readonly log: LogIndexTable;
  readonly folders: FolderCache;
  readonly chainTable: ChainTable;
  readonly beliefs: BeliefIndex;
  readonly owed: OwedIndex;
  readonly buckets: BucketIndexTable;
  readonly released: ReleasedIndex;
  readonly holds: HoldIndexTable;
  readonly releases: ReleaseTurn;
  readonly checked: CheckedCheckpoints;
  readonly kv: KeyValue;
  readonly path: string;
  /** Where an index that could not be used was moved to when this one was opened, and why. */
  readonly quarantined: { readonly path: string; readonly why: string } | undefined;
  /** False until `markBuilt`: what the disk holds has not all been read into it yet. */
  isBuilt(): boolean;
  markBuilt(): void;
  /** Makes several calls one transaction; what throws undoes all of it. */
  transaction<T>(work: () => T): T;
  close(): void;
}

export interface IndexDeps {
  readonly clock: Clock;
  readonly vault: VaultId;
  /** Reads the bodies of chain files. Without it no hold can be looked at. */
  readonly bodies?: BodyBytes;
  /** Called before a transaction that marks a hold lost or unreadable ends (docs/chain.md 4.1). */
  readonly noteLoss?: () => void;
  /** Marks of damage that outlive the index. */
  readonly notes?: MarkNotes;
  /** Hears of frames after the holds did. */
  readonly watcher?: FrameWatcher;
}

/**
 * Opens or creates the index of a vault at the path; see `openDatabase` for what is set aside and what is refused. The caller holds the data dir's
 * lock. A new or replaced index is empty: `reconcileIndex` fills it.
 */
export function openIndex(path: string, deps: IndexDeps): Index {
  const { db, quarantined } = openDatabase(path, deps.vault, deps.clock);
  const kv = withSqliteErrors(keyValueTable(db), path);
  const whole = withSqliteErrors(
    {
      isBuilt: () => kv.get('index.built') === '1',
      markBuilt: () => kv.set('index.built', '1'),
      transaction: <T>(work: () => T): T => db.transaction(work).immediate(),
      close: () => {
        if (!db.open) return;
        markOpen(db, false);
        db.close();
      },
    },
    path,
  );
  const chains = chainTable(db);
  const holds = holdIndex(db, {
    chains,
    frames: frameTable(db),
    bodies: deps.bodies ?? NO_BODIES,
    noteLoss: deps.noteLoss ?? (() => {}),
  });
  const buckets = bucketIndex(db, ownPlaces(db));
  const own = bothWatchers(holds, buckets.watcher);
  const watcher = deps.watcher === undefined ? own : bothWatchers(own, deps.watcher);
  const releases = releaseMarks(db, { holds, isClaimed: (id) => chunks.isClaimed(id) });
  const chunks = chunkIndex(db, deps.clock, watcher, deps.notes, releases.isMarked);
  return {
    chunks: withSqliteErrors(chunks, path),
    log: withSqliteErrors(logIndex(db), path),
    folders: withSqliteErrors(folderCache(db), path),
    chainTable: withSqliteErrors(chains, path),
    beliefs: withSqliteErrors(watchBeliefs(beliefIndex(db), chunks.voidRows), path),
    owed: withSqliteErrors(owedIndex(db), path),
    buckets: withSqliteErrors(buckets, path),
    released: withSqliteErrors(releasedIndex(db), path),
    holds: withSqliteErrors(holds, path),
    releases: withSqliteErrors(releases, path),
    checked: withSqliteErrors(checkedCheckpoints(db), path),
    kv,
    path,
    quarantined,
    ...whole,
  };
}

const noBodies = (): never => {
  throw new EdgeError('E_FAILED', 'this index was opened without the chain files');
};
const NO_BODIES: BodyBytes = { read: noBodies, readPart: noBodies };

function bothWatchers(first: FrameWatcher, second: FrameWatcher): FrameWatcher {
  return {
    gained: (frames, store) => {
      first.gained(frames, store);
      second.gained(frames, store);
    },
    lost: (ids, store, why) => {
      first.lost(ids, store, why);
      second.lost(ids, store, why);
    },
  };
}
