/** What the records of an owner's chain say, in memory. The encoded forms are in `docs/formats/record.md`. */
import type { ChunkId, RecordHash } from '../core/ids.ts';
import type { Entry } from '../tree/entry.ts';
import type { UnknownField } from '../tree/unknown-fields.ts';

export type RecordBody =
  | SnapshotBody
  | { readonly type: 'forget'; readonly snapshot: RecordHash }
  | { readonly type: 'pin'; readonly snapshot: RecordHash; readonly reason: string }
  | { readonly type: 'unpin'; readonly snapshot: RecordHash }
  | { readonly type: 'settings'; readonly settings: Settings }
  | DamagedBody;

/** Something that these snapshots reach is in no store any more. They stay listed and restorable by file, and never count as whole again. */
export interface DamagedBody {
  readonly type: 'damaged';
  /** Links of snapshots, 1 to DAMAGED_SNAPSHOTS_MAX. */
  readonly snapshots: readonly RecordHash[];
}

export interface SnapshotBody {
  readonly type: 'snapshot';
  /** The root's name (unique within the agent). */
  readonly root: string;
  /** The root's absolute path, as bytes. */
  readonly path: Uint8Array;
  /** Wall time when the capture began. */
  readonly timeNs: bigint;
  /** The root folder itself (empty name): its pages are the tree. A root that is a file has `type: 'file'`. */
  readonly entry: Entry;
  readonly stats: SnapshotStats;
  /** The snapshot of the same root that this one was compared with. */
  readonly parent?: RecordHash;
  readonly tags?: Readonly<Record<string, string>>;
  /** Written in the middle of a long first sync; a later one replaces it. */
  readonly unfinished?: boolean;
  /** How many items could not be read; they keep their earlier version where there was one. */
  readonly failed: number;
  readonly program: string;
  /** Fields that a later version wrote; kept when a checkpoint carries the snapshot on. */
  readonly unknown?: readonly UnknownField[];
}

export interface SnapshotStats {
  readonly files: number;
  readonly dirs: number;
  readonly others: number;
  /** Logical bytes of all files. */
  readonly bytes: number;
  readonly newBytes: number;
  readonly storedBytes: number;
}

/** The agent's configuration without secrets, as needed to recover it: JSON text of the merged config, and the roots. */
export interface Settings {
  readonly agentName: string;
  readonly site: string;
  readonly configJson: string;
  readonly roots: readonly RootSetting[];
  /** Fields that a later version wrote; kept when a checkpoint carries the settings on. */
  readonly unknown?: readonly UnknownField[];
}

export interface RootSetting {
  readonly name: string;
  readonly path: Uint8Array;
  /** From 1. Given to a root once, and to no other root of this chain ever. */
  readonly shard: number;
}

/** Ids of the tree pages that a snapshot hangs on (empty for an empty folder or a file root). */
export function snapshotPages(body: SnapshotBody): readonly ChunkId[] {
  return body.entry.pages ?? [];
}
