/** A folder on its way through a capture: found, scanned, taken in order, waiting for its files and folders, finished. */
import { joinPath } from '../files/path-bytes.ts';
import type { EntryChange, EntryUpdate } from '../pipeline/finish-folder.ts';
import type { IgnoreChain } from '../pipeline/ignore-chain.ts';
import type { ScannedFolder, ScanReply } from '../pipeline/scan-folder.ts';

/** A file of the folder that was read: its record (see `FolderState`) lies at `at` in `records`. */
export interface FileRead {
  readonly index: number;
  readonly at: number;
  readonly records: Uint8Array;
}

export class FolderNode {
  readonly parent: FolderNode | undefined;
  /** Below the root; empty for the root. */
  readonly path: Uint8Array;
  readonly depth: number;
  /** How its parent's listing saw it; undefined for the root. */
  readonly scanned: ScannedFolder | undefined;
  /** The rules that hold for what it holds, without its own ignore file. */
  readonly ignore: IgnoreChain | undefined;
  /** Page ids of the folder in the snapshot before (32 bytes each, joined); undefined when it was not in it. */
  readonly earlierPages: Uint8Array | undefined;

  status: 'found' | 'scanning' | 'scanned' | 'taken' | 'finishing' | 'done' = 'found';
  reply: ScanReply | undefined;
  /** Pages of its cache row, which are its pages when nothing changed. */
  rowPages: readonly Uint8Array[] = [];
  /** What its row names is known to be stored. */
  trusted = false;
  /** That had to be checked, so the row is written again although nothing changed. */
  recheck = false;
  /** Files and folders that are not done yet, and one more until it is taken. */
  waiting = 1;
  readonly reads: FileRead[] = [];
  readonly updates: EntryUpdate[] = [];
  /** Folders below that are not done. Only what an unfinished snapshot needs. */
  readonly open = new Set<FolderNode>();

  constructor(
    parent: FolderNode | undefined,
    scanned: ScannedFolder | undefined,
    ignore: IgnoreChain | undefined,
    earlierPages: Uint8Array | undefined,
  ) {
    this.parent = parent;
    this.scanned = scanned;
    this.ignore = ignore;
    this.earlierPages = earlierPages;
    this.path = parent === undefined ? new Uint8Array(0) : joinPath(parent.path, scanned!.name);
    this.depth = parent === undefined ? 0 : parent.depth + 1;
  }

  update(index: number, change: EntryChange): void {
    this.updates.push({ index, ...change });
  }

  /** Entries that the scan found. */
  get entries(): number {
    const counts = this.reply?.counts;
    return counts === undefined ? 0 : counts.files + counts.dirs + counts.others;
  }
}
