/** What is asked about a folder when it is scanned, and what is answered. */
import type { IgnoreChain } from './ignore-chain.ts';

export interface ScanSettings {
  /** The root folder's absolute path. */
  readonly base: Uint8Array;
  /** Seconds since 1970 at which the capture began. */
  readonly captureSeconds: number;
  /** Inodes (see `inodeKey`) that are left out with all below them: the data dir. */
  readonly leftOut: readonly string[];
  /** `major:minor` of the only device to descend on; undefined for all. */
  readonly device?: string;
}

export interface ScanRequest {
  /** Path below the root; empty for the root itself. */
  readonly path: Uint8Array;
  /** What capture remembers (a `FolderState`); of a folder in parts, all rows with names of the part that is asked for, in order. */
  readonly rows: readonly Uint8Array[];
  /** The rows are one, and it is of exactly this folder or part: when nothing differs it stands for the state. */
  readonly isAligned: boolean;
  /** The row is the first of several, so the folder is to be taken in parts however small it is now. */
  readonly inParts?: boolean;
  /** Only names after the first and up to the second: one part of a folder. */
  readonly range?: NameRange | undefined;
  /** Read every file again, whatever the row says; the row then only tells what was there. */
  readonly readAll: boolean;
  /** What the row names is known to be stored, so that it can stand for what cannot be read. */
  readonly trusted: boolean;
  /** Rows of folders below it, as many as were at hand (see `readFolderRows`): those are scanned along. All of them are trusted. */
  readonly below?: Uint8Array | undefined;
  readonly ignore?: IgnoreChain | undefined;
  /** Look at this name alone: for a root that is a file. */
  readonly only?: Uint8Array | undefined;
  /** Inode of the folder as its parent's listing saw it: another one means that it was swapped. */
  readonly inode?: string | undefined;
}

export interface ScanReply {
  /** The folder could not be listed: its errno's name and message. Everything else is then empty. */
  readonly failure?: ItemFailure;
  /** The folder is gone since its parent was listed. */
  readonly gone?: boolean;
  /** It has so many entries that it is taken in parts, each asked for with its range; nothing but the ignore text is filled in then. */
  readonly parts?: readonly NameRange[];
  /** Nothing differs from the row, which stands for the state. */
  readonly unchanged: boolean;
  readonly state?: Uint8Array<ArrayBuffer>;
  /** Files to be read: index of the entry and offset of its record in `state`, for one after the other. */
  readonly pending: Uint32Array;
  /** Without those that `asBefore` counts. */
  readonly dirs: readonly ScannedFolder[];
  /** What lies in folders here that were scanned along and are as remembered with all below them. */
  readonly asBefore?: SubtreeCounts;
  /** Entries with more than one hard link that are not pending. */
  readonly links: readonly ScannedLink[];
  /** Folders of the row that are no folders here any more. */
  readonly removedDirs: readonly Uint8Array[];
  /** Entries of the row, other than folders, whose names are still there as such; what is missing was removed. */
  readonly matched: number;
  /** Of the entries that need no reading: those that are as remembered, and those that are not. */
  readonly others: { readonly unchanged: number; readonly changed: number; readonly added: number };
  /** Of everything that is there. */
  readonly counts: FolderCounts;
  readonly failures: readonly ItemFailure[];
  readonly notices: readonly ItemNotice[];
  /** Content of the folder's own ignore file. */
  readonly ignoreText?: Uint8Array;
}

/** Names after `after` and up to `upTo`, itself included; without bound where they are absent. */
export interface NameRange {
  readonly after?: Uint8Array | undefined;
  readonly upTo?: Uint8Array | undefined;
}

export interface FolderCounts {
  readonly files: number;
  readonly dirs: number;
  readonly others: number;
  readonly bytes: number;
}

/** Of subtrees in which nothing differs from the rows; the folders at their tops are counted by what they lie in. */
export interface SubtreeCounts extends FolderCounts {
  readonly matched: number;
  readonly unchanged: number;
}

export interface ScannedFolder {
  readonly index: number;
  readonly name: Uint8Array;
  readonly inode: string;
  /** It was a folder in the row. */
  readonly wasThere: boolean;
  /** Ids of the pages that its earlier entry names, one after the other (32 bytes each). */
  readonly pages: Uint8Array;
  /** Its entry was made anew and names no pages. */
  readonly isFresh: boolean;
  /** Not descended into: on another device, marked as a cache, or left out. */
  readonly closed: boolean;
  /** What the scan found in it, when it was scanned along and something in it needs a look. */
  readonly along?: ScannedAlong;
}

export interface ScannedAlong {
  readonly reply: ScanReply;
  /** Page ids of its row (32 bytes each, joined). */
  readonly rowPages: Uint8Array;
}

export interface ScannedLink {
  readonly index: number;
  readonly name: Uint8Array;
  readonly inode: string;
  /** The group that the encoded entry names now. */
  readonly group: Uint8Array | undefined;
}

export interface ItemFailure {
  /** Empty for the folder itself. */
  readonly name: Uint8Array;
  readonly code: string;
  readonly message: string;
}

export interface ItemNotice {
  readonly name: Uint8Array;
  readonly what: 'socket' | 'data-dir' | 'other-device' | 'cache-dir' | 'unknown-kind';
}
