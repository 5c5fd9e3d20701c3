/** The nouns of demotion: what a policy says, what a plan lists, and what is used to carry it out. */
import type { Opener } from '../codec/open.ts';
import type { Sodium } from '../codec/sodium.ts';
import type { AskedChunks } from '../core/asked-chunks.ts';
import type { Clock, RandomBytes } from '../core/clock.ts';
import type { AgentId, ChunkId, HexId, PackClass, PackName, VaultId } from '../core/ids.ts';
import type { ChunkStore } from '../core/ports/chunk-store.ts';
import type { ChunkIndex, LogIndex, StoreName } from '../core/ports/index.ts';
import type { PeerDirectory } from '../core/ports/peer.ts';
import type { ReportProgress, ReportWarning } from '../core/ports/progress.ts';
import type { SealedSource } from '../core/ports/sealed-source.ts';
import type { TierAges } from '../policy/tier.ts';
import type { Chains } from '../ports/chains.ts';
import type { Placed } from '../ports/placed.ts';
import type { Witnesses } from '../ports/witnesses.ts';

/** How one root is tiered: its `[tiering.<name>]` with the copies that its `[replication.<name>]` asks for. */
export interface TierPolicy extends TierAges {
  readonly name: string;
  /** Where cold chunks go; undefined when peers are the cold tier and cold chunks are only dropped here. */
  readonly cold: StoreName | undefined;
  /** Only files that match are tiered (gitignore syntax); all when empty. */
  readonly match: readonly string[];
  /** Files that match stay, whatever their age. */
  readonly pin: readonly string[];
  /** Verified copies elsewhere that a drop needs; at least one always. */
  readonly copies: number;
  /** In how many sites these must lie; a bucket is a site of its own. */
  readonly sites: number;
}

export interface TierInput {
  readonly agent: AgentId;
  /** Undefined for a root that is not tiered: what it has stays. */
  readonly policyOf: (root: string) => TierPolicy | undefined;
}

/** A chunk on the own disk that may go. */
export interface PlannedChunk {
  readonly id: ChunkId;
  readonly keyId: number;
  readonly sealedBytes: number;
  readonly sealedSha256: Uint8Array;
  /** Where it lies here. */
  readonly pack: PackName;
  readonly offset: number;
  readonly createdNs: bigint;
}

/** In the order in which a restore would want them. Each pass looks them up again, so that a plan of any size takes little memory. */
export interface PlannedChunks extends Iterable<PlannedChunk> {
  readonly count: number;
  /** Sealed. */
  readonly bytes: number;
}

/** Chunks with one way to go, in the order in which a restore would want them. */
export interface DemotePart {
  /** Undefined: dropped here when enough peers have them. */
  readonly store: StoreName | undefined;
  readonly copies: number;
  readonly sites: number;
  /** To be put into the store. */
  readonly put: PlannedChunks;
  /** In the store already (replicated, or put by a run that was cut off), or with peers only: to be verified and dropped. */
  readonly check: PlannedChunks;
}

export interface DemotePlan {
  /** 64 hex digits over what is planned: the same plan again has the same id. */
  readonly id: string;
  readonly parts: readonly DemotePart[];
  /** Chunks and sealed bytes to put. */
  readonly put: ChunkTotals;
  /** Chunks and sealed bytes that would go from the own disk. */
  readonly drop: ChunkTotals;
  /** PUT and HEAD of packs; GETs of what has to be verified by reading. */
  readonly requests: number;
  /** When the oldest of them was last changed, stored or read. */
  readonly oldestNs: bigint | undefined;
  readonly notes: readonly string[];
}

export interface ChunkTotals {
  readonly chunks: number;
  readonly bytes: number;
}

export interface DemoteReport {
  readonly moved: ChunkTotals;
  readonly dropped: ChunkTotals;
  /** What the file system got back. */
  readonly freedBytes: number;
  /** Not dropped, because fewer copies than the policy asks for could be verified in this run. */
  readonly kept: ChunkTotals;
  readonly notes: readonly string[];
}

/** The part of a bucket that demotion uses; `openBucket` gives it. */
export interface ColdStore {
  readonly name: StoreName;
  readonly label: string;
  readonly packs: {
    put(
      pack: { readonly name: PackName; readonly packClass: PackClass },
      body: Uint8Array,
      signal?: AbortSignal,
    ): Promise<void>;
  };
  readonly source: SealedSource;
  /** Throws unless the store that answers now has exactly this id. */
  requireStoreId(storeId: HexId, signal?: AbortSignal): Promise<void>;
}

export interface TierDeps {
  readonly clock: Clock;
  readonly index: {
    readonly chunks: Pick<ChunkIndex, 'locate' | 'locateKeys' | 'lastRead' | 'addPack' | 'packs' | 'noteReads'>;
    readonly log: Pick<LogIndex, 'snapshots'>;
    readonly holds: { isHeldByOthers(id: ChunkId): boolean };
  };
  /** Where copies are believed to be: whom to ask. Nothing is dropped by it. */
  readonly placed: Pick<Placed, 'targetsOf'>;
  /** For trees and lists: own disk first. */
  readonly sources: readonly SealedSource[];
  readonly opener: Opener;
  readonly warn: ReportWarning;
  readonly progress?: ReportProgress;
}

export interface DemoteDeps extends TierDeps {
  readonly sodium: Sodium;
  readonly random: RandomBytes;
  readonly vault: VaultId;
  readonly self: { readonly agentId: AgentId; readonly incarnation: number };
  readonly index: TierDeps['index'] & { readonly chunks: { isClaimed(id: ChunkId): boolean } };
  readonly chains: Pick<Chains, 'holdsOf' | 'isOnTrail'>;
  /** While it answers true, nothing is dropped: this machine was put back or copied (docs/chain.md 2.7). */
  readonly isPutBack: () => boolean;
  readonly witnesses: Witnesses;
  readonly asked: AskedChunks;
  readonly chunks: Pick<ChunkStore, 'drop' | 'verify'>;
  readonly buckets: ReadonlyMap<StoreName, ColdStore>;
  readonly peers: PeerDirectory;
}
