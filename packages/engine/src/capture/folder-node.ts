/** A folder on its way through a capture: found, scanned, taken in order, waiting for its files and folders, finished. */
import { joinPath } from '../files/path-bytes.ts';
import type { EntryChange, EntryUpdate } from '../pipeline/finish-folder.ts';
import type { IgnoreChain } from '../pipeline/ignore-chain.ts';
import type { NameRange, ScannedFolder, ScanReply } from '../pipeline/scan-types.ts';
import { type EarlierRows, partKey } from './earlier-rows.ts';

/** A file of the folder that was read: its record (see `FolderState`) lies at `at` in `records`. */
export interface FileRead {
  readonly index: number;
  readonly at: number;
  readonly records: Uint8Array;
}

export interface FolderPart {
  readonly index: number;
  /** How many there are. */
  readonly of: number;
  readonly range: NameRange;
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
  /** Set on a part of a folder: such a node stands for some of the entries, and its parent for the folder. */
  readonly part: FolderPart | undefined;
  /** Of a folder in parts: the pages of each, as far as they are known, and what is remembered of it. */
  readonly partPages: (readonly Uint8Array[] | undefined)[] = [];
  earlierRows: EarlierRows | undefined;
  /** The worker that scanned it. */
  worker = 0;

  constructor(
    parent: FolderNode | undefined,
    scanned: ScannedFolder | undefined,
    ignore: IgnoreChain | undefined,
    earlierPages: Uint8Array | undefined,
    part?: FolderPart,
  ) {
    this.parent = parent;
    this.part = part;
    this.scanned = scanned;
    this.ignore = ignore;
    this.earlierPages = earlierPages;
    if (parent === undefined) this.path = new Uint8Array(0);
    else this.path = part === undefined ? joinPath(parent.path, scanned!.name) : parent.path;
    this.depth = parent === undefined ? 0 : parent.depth + (part === undefined ? 1 : 0);
  }

  /** Key of its cache row. */
  get key(): Uint8Array {
    return partKey(this.path, this.part?.index ?? 0);
  }

  /** Taken in parts: it has no state and no row of its own. */
  get isSplit(): boolean {
    return this.reply?.parts !== undefined;
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
