/**
 * The index as flows see it. It is a cache of packs and chains: deleting it loses nothing. All calls are synchronous (SQLite);
 * each writing call is one transaction that is on stable storage when it returns.
 */

import type { Position } from '../../chain/position.ts';
import type { Settings, SnapshotBody } from '../../log/record-body.ts';
import type { AgentId, ChunkId, PackClass, PackName, RecordHash } from '../ids.ts';
import type { MissReason, SealedAddress } from './sealed-source.ts';

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
  /** When the youngest of its chunks was first stored: what its header says. Moving a chunk does not make it young. */
  readonly createdNs: bigint;
}

/** A pack as the index knows it. */
export interface KnownPack extends PackRow {
  /** When all of it was last read and found good; undefined for never. */
  readonly verifiedNs: bigint | undefined;
  /** The whole file is not there, or could not be read. */
  readonly marked: MissReason | undefined;
}

/** A copy of a chunk that was found bad. */
export interface CopyMark {
  readonly id: ChunkId;
  readonly pack: PackName;
  readonly reason: MissReason;
  readonly why: string;
}

/** A whole pack that is not there or cannot be read. `frames` and `bytes` are 0 where nobody knows. */
export interface PackMark {
  readonly name: PackName;
  readonly reason: MissReason;
  readonly why: string;
  readonly frames?: number;
  readonly bytes?: number;
  /** Only the pack's own index is bad: its frames are where the index says, and count. */
  readonly framesAreGood?: true;
  /** Now, when absent. */
  readonly sinceNs?: bigint;
}

/** Chunks of which a store has no good copy any more although it had one, by what happened. A standing finding until they are whole. */
export interface StoreLoss {
  readonly store: StoreName;
  readonly reason: MissReason;
  readonly chunks: number;
  /** Of these, chunks of which no store of this agent has a good copy. */
  readonly nowhere: number;
  readonly sealedBytes: number;
  /** Packs that are bad as a whole, those included whose chunks nobody knows. */
  readonly packs: number;
  /** When the first of them was noticed. */
  readonly sinceNs: bigint;
  /** In words, of the first. */
  readonly why: string;
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

export interface MarkedLocation extends ChunkLocation {
  readonly marked: MissReason | undefined;
}

export interface ChunkIndex {
  /**
   * Answers, for each chunk, 1 when a good copy is in this agent's store (disk or its own bucket prefix), else 0; those that are there are marked as relied
   * on by the session. One transaction.
   */
  claim(session: number, ids: readonly ChunkId[]): Uint8Array;
  /**
   * Copies in these stores do not count for `claim`, until it is said otherwise: they cannot be asked now, so that a
   * capture stores again what only they have. The rows stay.
   */
  countAllBut(stores: ReadonlySet<StoreName>): void;
  /** Opens a session; chunks claimed by it, snapshots that it relies on (with all that they reach), and packs added since, are live for every collector until it ends. */
  beginSession(what: string, snapshots?: readonly RecordHash[]): number;
  endSession(session: number): void;
  /**
   * Registers a pack that is already durable, with all its frames. `adopted`: it was found, not written just now, so marks that were noted of it
   * hold on; otherwise they end.
   */
  addPack(pack: PackRow, frames: FrameRows, adopted?: boolean): void;
  /**
   * Where in this store each chunk can be read from; positions match `ids`. Faster than `locate`. Where every copy is marked, one of them with its
   * mark: a place to try, not a copy that counts.
   */
  addresses(store: StoreName, ids: readonly ChunkId[]): ((SealedAddress & { readonly pack: PackName }) | undefined)[];
  /** Good locations of each chunk, own disk first; the result's positions match `ids`. */
  locate(ids: readonly ChunkId[]): ChunkLocation[][];
  /** Good locations of all chunks whose id begins with the 48 bits, own disk first; positions match `keys`. */
  locateKeys(keys: readonly number[]): ChunkLocation[][];
  /** Every copy that the index knows of, those included that are marked; positions match `ids`. */
  allCopies(ids: readonly ChunkId[]): MarkedLocation[][];
  /**
   * Marks one copy as damaged. Here and below a pack is one of the own disk unless a store is named: a pack that was made of the same chunks again
   * has the same name in both.
   */
  markBad(id: ChunkId, pack: PackName, why: string, store?: StoreName): void;
  /** Marks copies, which then are not offered nor counted. Noted durably beside the index first. One transaction; raises the loss epoch once. */
  markCopies(marks: readonly CopyMark[], store?: StoreName): void;
  /** The copies were read and are what was stored. */
  liftMarks(copies: readonly { readonly id: ChunkId; readonly pack: PackName }[], store?: StoreName): void;
  /** Packs that are not there or cannot be read: none of their frames counts, and their rows stay. Of a pack without rows too. */
  markPacks(marks: readonly PackMark[], store?: StoreName): void;
  /** Packs that are there again, or can be read again; marks of single frames stay. */
  liftPackMarks(names: readonly PackName[], store?: StoreName): void;
  /** Every frame of these packs was read and found good (but for those that are marked). */
  noteVerified(packs: readonly PackName[], atNs: bigint, store?: StoreName): void;
  /** What the stores lack now, and since when. Costs time only where there is damage. */
  losses(): StoreLoss[];
  /** Chunks of which a copy in any of the stores is damaged or gone, and that no shard of any chain or branch holds. */
  lostUnheldIds(): ChunkId[];
  /**
   * Packs that are there and cannot be read now, and of which nobody knows what is in them: a chunk without a copy may
   * be there.
   */
  unknownPacks(): readonly { readonly name: PackName; readonly store: StoreName }[];
  /**
   * Forgets absent packs of which every chunk has a good copy in the same store again; with `everythingIsThere`, which only a look at everything can
   * tell, also those whose chunks nobody knows.
   */
  settleLosses(everythingIsThere?: boolean): void;
  /**
   * Forgets copies that are damaged or gone, of chunks that were given up: nothing waits for them any more. Those of
   * which `keeps` holds stay, looked at within the transaction. No file changes.
   */
  forgetBadCopies(ids: readonly ChunkId[], keeps: (id: ChunkId) => boolean): void;
  /**
   * Removes locations in one store (after P5) of chunks. `packs` lost frames; `kept` are positions of chunks whose copies stay, because a session or
   * another owner relies on them, because `keeps` says so within the transaction, or because there is none.
   */
  dropLocations(
    store: StoreName,
    ids: readonly ChunkId[],
    keeps?: (id: ChunkId) => boolean,
  ): { readonly packs: readonly PackName[]; readonly kept: readonly number[] };
  /**
   * Replaces packs by others in one transaction: rows of `oldPacks` go, `pack`s and frames come. Every frame of the old packs, marked or not, must be
   * among the new ones, which were read, verified and stored in this job: E_FAILED (retryable) otherwise, and nothing changes.
   */
  swapPacks(
    oldPacks: readonly PackName[],
    added: readonly { readonly pack: PackRow; readonly frames: FrameRows }[],
    store?: StoreName,
  ): void;
  packs(store?: StoreName): KnownPack[];
  framesOf(pack: PackName, store?: StoreName): FrameRow[];
  /** As `framesOf`, with those that are marked bad. */
  allFramesOf(pack: PackName, store?: StoreName): FrameRow[];
  packByName(name: PackName, store?: StoreName): KnownPack | undefined;
  /** Marks of single frames of the pack. */
  marksOf(name: PackName, store?: StoreName): CopyMark[];
  /** A pack that nothing needs any more: its rows and marks go, the loss epoch rises. */
  forgetPack(name: PackName, store?: StoreName): void;
  /** Rises whenever a stored copy was found damaged or missing; folder caches written under another epoch are checked anew. */
  lossEpoch(): number;
  /** Last time a chunk was read for a user's single read (not bulk restores, scrubs, drills). */
  noteReads(ids: readonly ChunkId[], atNs: bigint): void;
  lastRead(id: ChunkId): bigint | undefined;
  /** `badCopies`: what `losses` counts. */
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
  /** Only those that count at no level. */
  readonly damaged?: true;
  readonly limit?: number;
}

export interface LogIndex {
  /** Live snapshots in order; filtered when given. Each is decoded: what needs only some of their facts asks for `summaries`. */
  snapshots(filter?: SnapshotFilter): SnapshotRow[];
  summaries(filter?: SnapshotFilter): SnapshotSummary[];
  countSnapshots(filter?: SnapshotFilter): number;
  /** Of the agent that recorded it: where only checkpoints name it, of this agent before others. */
  snapshot(id: RecordHash): SnapshotRow | undefined;
  /** The newest live snapshot of a root on the trail; an unfinished one counts. */
  latestSnapshot(agent: AgentId, root: string): SnapshotRow | undefined;
  /** The newest live snapshot of each root on the trail. */
  latestOfRoots(agent: AgentId): SnapshotSummary[];
  /**
   * Snapshots whose id begins with the hex prefix. One id is there twice only where checkpoints of several agents name
   * it and no chain here has its entry.
   */
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
