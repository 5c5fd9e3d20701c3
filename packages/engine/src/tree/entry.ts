/**
 * What a folder holds, in memory. The encoded form is in `docs/formats/tree.md`.
 *
 * Nothing here may depend on the machine that captured it (no inode, device or change time), so that a restored folder encodes to
 * the same bytes again and is shared.
 */
import type { ChunkId } from '../core/ids.ts';
import type { UnknownField } from './unknown-fields.ts';

export type EntryType = 'file' | 'dir' | 'symlink' | 'fifo' | 'chardev' | 'blockdev';

/** A reference to stored content: chunk id and the length of its plaintext in bytes. */
export interface ContentRef {
  readonly id: ChunkId;
  readonly length: number;
}

/** Where a file's bytes are: its chunks in order, or chunks of kind `list` that name them (36 bytes a reference). */
export type Content =
  | { readonly form: 'inline'; readonly refs: readonly ContentRef[] }
  | { readonly form: 'lists'; readonly lists: readonly ContentRef[] };

/** A range of a file that has no data on disk; bytes there read as zero and are in no chunk. */
export interface Hole {
  readonly offset: number;
  readonly length: number;
}

export interface Xattr {
  readonly name: Uint8Array;
  readonly value: Uint8Array;
}

/** Metadata of POSIX systems; other systems get a map of their own beside it. */
export interface PosixMeta {
  /** Permission bits with setuid, setgid, sticky: 0 to 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Devices only. */
  readonly rdev?: { readonly major: number; readonly minor: number };
  /** Sorted by name bytes. Absent when there are none. */
  readonly xattrs?: readonly Xattr[];
  /** Fields that a later version wrote; kept when the entry is written again. */
  readonly unknown?: readonly UnknownField[];
}

export interface Entry {
  /** One path component; never empty, `.`, `..`, nor with `/` or NUL in it. Empty only for a snapshot's root entry. */
  readonly name: Uint8Array;
  readonly type: EntryType;
  /** Nanoseconds since 1970, any sign. */
  readonly mtimeNs: bigint;
  readonly posix: PosixMeta;
  /** Files: logical length in bytes = sum of content lengths + sum of holes. */
  readonly size?: number;
  /** Files: the bytes outside the holes, in order. */
  readonly content?: Content;
  /** Files: sorted, not touching. Absent when there are none. */
  readonly holes?: readonly Hole[];
  /** Symlinks: the target as stored, never followed. */
  readonly target?: Uint8Array;
  /** Folders: chunks of kind `tree`, the pages in order; none for an empty folder. */
  readonly pages?: readonly ChunkId[];
  /** 16 bytes, equal for all hard links to one inode within a root: SHA-256 of the first one's path in capture order, cut short. */
  readonly hardLink?: Uint8Array;
  /** The file changed while it was read; its bytes are of one length but perhaps not of one moment. */
  readonly changedWhileRead?: boolean;
  /** Fields that a later version wrote; kept when the entry is written again. */
  readonly unknown?: readonly UnknownField[];
}
