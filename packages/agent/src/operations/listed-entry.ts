/** An entry of a tree as listings give it. */
import { type Entry, escapeName, formatTimeNs, jsonPath } from '@edgestore/engine';
import type { ResolvedSnapshot } from './snapshot-spec.ts';

export interface ListedEntry {
  readonly path: string;
  readonly path_b64?: string;
  readonly type: string;
  /** Octal, four digits. */
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: string;
  readonly mtime_ns: string;
  /** Files only. */
  readonly size?: number;
  /** Symlinks only. */
  readonly target?: string;
  readonly changed_while_read?: true;
}

export interface ListingData extends Partial<ResolvedSnapshot> {
  readonly count: number;
}

/** Nanoseconds are given beside the time, which has milliseconds only. */
export function listedEntry(path: Uint8Array, entry: Entry): ListedEntry {
  return {
    ...jsonPath(path),
    type: entry.type,
    mode: entry.posix.mode.toString(8).padStart(4, '0'),
    uid: entry.posix.uid,
    gid: entry.posix.gid,
    mtime: formatTimeNs(entry.mtimeNs),
    mtime_ns: entry.mtimeNs.toString(),
    ...(entry.type === 'file' ? { size: entry.size ?? 0 } : {}),
    ...(entry.target === undefined ? {} : { target: escapeName(entry.target) }),
    ...(entry.changedWhileRead === true ? { changed_while_read: true as const } : {}),
  };
}
