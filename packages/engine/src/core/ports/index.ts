/**
 * The index as flows see it. It is a cache of packs, hold logs and log: deleting it loses nothing. All calls are synchronous (SQLite);
 * each writing call is one transaction that is on stable storage when it returns.
 */

import type { Head, SnapshotBody } from '../../log/record-body.ts';
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
  /** Opens a session; chunks claimed by it, and packs added since, are live for every collector until it ends. */
  beginSession(what: string): number;
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
  dropLocations(store: StoreName, ids: readonly ChunkId[]): PackName[];
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

export interface SnapshotRow {
  readonly id: RecordHash;
  readonly agent: AgentId;
  readonly incarnation: number;
  readonly seq: number;
  readonly body: SnapshotBody;
  readonly pinned: string | undefined;
  readonly forgotten: boolean;
  /** Of an older incarnation beyond the takeover's base. */
  readonly branch: boolean;
}

export interface LogIndex {
  /** Live snapshots in (incarnation, seq) order; filtered when given. */
  snapshots(filter?: {
    readonly agent?: AgentId;
    readonly root?: string;
    readonly includeForgotten?: boolean;
  }): SnapshotRow[];
  /** Snapshots whose id begins with the hex prefix. */
  findSnapshots(prefix: string): SnapshotRow[];
  heads(): { readonly agent: AgentId; readonly head: Head }[];
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

export interface PlacementIndex {
  /** 1 where a receipt of the target covers the chunk. */
  placed(target: TargetId, ids: readonly ChunkId[]): Uint8Array;
  addPlacements(target: TargetId, ids: readonly ChunkId[], atNs: bigint): void;
  removePlacements(target: TargetId, ids: readonly ChunkId[]): void;
  placementsOf(
    id: ChunkId,
  ): { readonly target: TargetId; readonly atNs: bigint; readonly verifiedNs: bigint | undefined }[];
  noteVerified(target: TargetId, ids: readonly ChunkId[], atNs: bigint): void;
  placedCount(target: TargetId): number;
}

export interface QueueIndex {
  /** Queues work for a target; the same (target, item) again is one row. */
  enqueue(target: TargetId, item: QueueItem): void;
  /** Rows due at `nowNs`, oldest first. */
  due(target: TargetId, nowNs: bigint, limit: number): QueueRow[];
  failed(row: number, error: string, nextTryNs: bigint): void;
  done(row: number): void;
  pending(target?: TargetId): QueueRow[];
}

/** A snapshot (and all records up to it) that a target is to hold. */
export interface QueueItem {
  readonly snapshot: RecordHash;
  readonly seq: number;
}

export interface QueueRow {
  readonly row: number;
  readonly target: TargetId;
  readonly item: QueueItem;
  readonly attempts: number;
  readonly nextTryNs: bigint;
  readonly lastError: string | undefined;
}

/** Holds that others have here, as indexed from the hold logs. */
export interface HoldIndex {
  addHolds(
    owner: AgentId,
    op: number,
    entries: readonly { readonly id: ChunkId; readonly sealedSha256: Uint8Array; readonly sealedBytes: number }[],
  ): void;
  heldSha256(owner: AgentId, ids: readonly ChunkId[]): (Uint8Array | undefined)[];
  holdersOf(id: ChunkId): AgentId[];
  lastOp(owner: AgentId): number;
  heldCount(owner?: AgentId): { chunks: number };
}

export interface KeyValue {
  get(key: string): string | undefined;
  set(key: string, value: string): void;
  delete(key: string): void;
}
