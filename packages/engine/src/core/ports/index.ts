/**
 * The index as flows see it. It is a cache of packs and chains: deleting it loses nothing. All calls are synchronous (SQLite);
 * each writing call is one transaction that is on stable storage when it returns.
 */

import type { Position } from '../../chain/position.ts';
import type { Settings, SnapshotBody } from '../../log/record-body.ts';
import type { AgentId, ChunkId, PackClass, PackName, RecordHash } from '../ids.ts';
import type { SealedAddress } from './sealed-source.ts';

/** `''` is the agent's own disk; otherwise the name of a configured store (`[stores.<name>]`). */
export type StoreName = string;

export interface FrameRow {
  readonly id: ChunkId;
  readonly keyId: number;
  /** Byte offset of the sealed chunk (after its frame header) in the pack. */
  readonly offset: number;
  readonly sealedBytes: number;
  /** SHA-256 of the sealed chunk, 32 bytes. */
  readonly sealedSha256: Uint8Array;
  /** This agent opened it and found the id right (or sealed it itself). */
  readonly identified: boolean;
}

export interface PackRow {
  readonly name: PackName;
  readonly store: StoreName;
  readonly packClass: PackClass;
  readonly bytes: number;
  readonly frames: number;
  readonly createdNs: bigint;
}

/** Frames one after the other; a pack may have so many that they are better made while they are looked at. */
export interface FrameRows extends Iterable<FrameRow> {
  readonly length: number;
}

export interface ChunkLocation extends FrameRow {
  readonly pack: PackName;
  readonly store: StoreName;
  readonly packClass: PackClass;
  readonly createdNs: bigint;
}

export interface ChunkIndex {
  /**
   * Answers, for each chunk, 1 when a good copy is in this agent's store (disk or its own bucket prefix), else 0; those that are there are marked as relied
   * on by the session. One transaction.
   */
  claim(session: number, ids: readonly ChunkId[]): Uint8Array;
  /** Opens a session; chunks claimed by it, snapshots that it relies on (with all that they reach), and packs added since, are live for every collector until it ends. */
  beginSession(what: string, snapshots?: readonly RecordHash[]): number;
  endSession(session: number): void;
  /** Registers a pack that is already durable, with all its frames. */
  addPack(pack: PackRow, frames: FrameRows): void;
  /** Where in this store each chunk can be read from; positions match `ids`. Faster than `locate`. */
  addresses(store: StoreName, ids: readonly ChunkId[]): ((SealedAddress & { readonly pack: PackName }) | undefined)[];
  /** Good locations of each chunk, own disk first; the result's positions match `ids`. */
  locate(ids: readonly ChunkId[]): ChunkLocation[][];
  /**
   * Marks one copy as damaged or missing; raises the loss epoch. Here and below a pack is one of the own disk unless a store is named: a pack
   * that was made of the same chunks again has the same name in both.
   */
  markBad(id: ChunkId, pack: PackName, why: string, store?: StoreName): void;
  /** Removes locations in one store (after P5) of chunks; returns the packs that lost frames. */
  dropLocations(store: StoreName, ids: readonly ChunkId[], keeps?: (id: ChunkId) => boolean): PackName[];
  /** Replaces packs by others in one transaction: rows of `oldPacks` go, `pack`s and frames come. */
  swapPacks(
    oldPacks: readonly PackName[],
    added: readonly { readonly pack: PackRow; readonly frames: FrameRows }[],
    store?: StoreName,
  ): void;
  packs(store?: StoreName): PackRow[];
  framesOf(pack: PackName, store?: StoreName): FrameRow[];
  /** As `framesOf`, with those that are marked bad. */
  allFramesOf(pack: PackName, store?: StoreName): FrameRow[];
  packByName(name: PackName, store?: StoreName): PackRow | undefined;
  /** A pack whose file is gone: its rows go, the loss epoch rises. */
  forgetPack(name: PackName, store?: StoreName): void;
  /** Rises whenever a stored copy was found damaged or missing; folder caches written under another epoch are checked anew. */
  lossEpoch(): number;
  /** Last time a chunk was read for a user's single read (not bulk restores, scrubs, drills). */
  noteReads(ids: readonly ChunkId[], atNs: bigint): void;
  lastRead(id: ChunkId): bigint | undefined;
  counts(): { packs: number; chunks: number; bytes: number; badCopies: number };
}

/** A snapshot without its body. */
export interface SnapshotSummary {
  /** The link of its entry. */
  readonly id: RecordHash;
  readonly agent: AgentId;
  readonly incarnation: number;
  readonly seq: number;
  readonly shard: number;
  readonly root: string;
  readonly timeNs: bigint;
  /** Written in the middle of a long first sync. */
  readonly unfinished: boolean;
  readonly pinned: string | undefined;
  readonly forgotten: boolean;
  /** Something that it reaches was given up: it never counts as whole again (docs/chain.md 2.10). */
  readonly damaged: boolean;
  /** Its entry is not on the trail of the chain any more. */
  readonly branch: boolean;
}

export interface SnapshotRow extends Omit<SnapshotSummary, 'root' | 'timeNs' | 'unfinished'> {
  readonly body: SnapshotBody;
}

export interface SnapshotFilter {
  readonly agent?: AgentId;
  readonly root?: string;
  readonly includeForgotten?: boolean;
  /** Without those of branches. */
  readonly onTrail?: boolean;
  readonly afterSeq?: number;
  readonly limit?: number;
}

export interface LogIndex {
  /** Live snapshots in order; filtered when given. Each is decoded: what needs only some of their facts asks for `summaries`. */
  snapshots(filter?: SnapshotFilter): SnapshotRow[];
  summaries(filter?: SnapshotFilter): SnapshotSummary[];
  countSnapshots(filter?: SnapshotFilter): number;
  snapshot(id: RecordHash): SnapshotRow | undefined;
  /** The newest live snapshot of a root on the trail; an unfinished one counts. */
  latestSnapshot(agent: AgentId, root: string): SnapshotRow | undefined;
  /** The newest live snapshot of each root on the trail. */
  latestOfRoots(agent: AgentId): SnapshotSummary[];
  /** Snapshots whose id begins with the hex prefix. */
  findSnapshots(prefix: string): SnapshotRow[];
  /** The end of each chain that is followed here. */
  positions(): { readonly agent: AgentId; readonly position: Position }[];
  settingsOf(agent: AgentId): Settings | undefined;
  /** The highest shard that an entry or the settings of the agent name; 0 for none. */
  highestShard(agent: AgentId): number;
}

/** The stat cache of one folder of a root: an opaque value that capture wrote. */
export interface FolderCache {
  get(root: string, path: Uint8Array): { readonly value: Uint8Array; readonly epoch: number } | undefined;
  /** Rows of folders below this one that were written in the epoch, in byte order of their paths. Nothing else may be asked meanwhile. */
  below(
    root: string,
    path: Uint8Array,
    epoch: number,
  ): Iterable<{ readonly path: Uint8Array; readonly value: Uint8Array }>;
  put(root: string, rows: readonly { readonly path: Uint8Array; readonly value: Uint8Array }[]): void;
  delete(root: string, paths: readonly Uint8Array[]): void;
  clear(root?: string): void;
}

/** Replication targets: an agent id, or `store:<name>`. */
export type TargetId = string;

export interface KeyValue {
  get(key: string): string | undefined;
  set(key: string, value: string): void;
  delete(key: string): void;
}
