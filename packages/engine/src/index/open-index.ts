/**
 * The index of an agent: SQLite, one writer, on stable storage when a writing call returns. It caches what packs, logs and hold logs say and is
 * thrown away when it is of no use (`docs/formats/index.md`).
 */
import type { Clock } from '../core/clock.ts';
import type { VaultId } from '../core/ids.ts';
import type { FrameWatcher } from '../core/ports/frame-watcher.ts';
import type { FolderCache, KeyValue, PlacementIndex, QueueIndex } from '../core/ports/index.ts';
import type { MarkNotes } from '../core/ports/mark-notes.ts';
import { type ChunkIndexTable, chunkIndex } from './chunk-index.ts';
import { markOpen, openDatabase } from './database.ts';
import { folderCache } from './folder-cache.ts';
import { type HoldIndexTable, holdIndex } from './hold-index.ts';
import { keyValueTable } from './key-value.ts';
import { type LogIndexTable, logIndex } from './log-index.ts';
import { placementIndex } from './placement-index.ts';
import { queueIndex } from './queue-index.ts';
import { withSqliteErrors } from './sqlite-errors.ts';

export interface Index {
  readonly chunks: ChunkIndexTable;
  readonly log: LogIndexTable;
  readonly folders: FolderCache;
  readonly placements: PlacementIndex;
  readonly queue: QueueIndex;
  readonly holds: HoldIndexTable;
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

/**
 * Opens or creates the index of a vault at the path; see `openDatabase` for what is set aside and what is refused. The caller holds the data dir's
 * lock. A new or replaced index is empty: `reconcileIndex` fills it.
 */
export function openIndex(
  path: string,
  deps: { readonly clock: Clock; readonly vault: VaultId; readonly watcher?: FrameWatcher; readonly notes?: MarkNotes },
): Index {
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
  return {
    chunks: withSqliteErrors(chunkIndex(db, deps.clock, deps.watcher, deps.notes), path),
    log: withSqliteErrors(logIndex(db), path),
    folders: withSqliteErrors(folderCache(db), path),
    placements: withSqliteErrors(placementIndex(db), path),
    queue: withSqliteErrors(queueIndex(db), path),
    holds: withSqliteErrors(holdIndex(db), path),
    kv,
    path,
    quarantined,
    ...whole,
  };
}
