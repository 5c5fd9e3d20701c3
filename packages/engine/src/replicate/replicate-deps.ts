import type { Position } from '../chain/position.ts';
import type { Opener } from '../codec/open.ts';
import type { Sodium } from '../codec/sodium.ts';
import type { AskedChunks } from '../core/asked-chunks.ts';
import type { Clock, RandomBytes } from '../core/clock.ts';
import type { AgentId, HexId, VaultId } from '../core/ids.ts';
import type { ChunkIndex, KeyValue, LogIndex } from '../core/ports/index.ts';
import type { ReportProgress } from '../core/ports/progress.ts';
import type { SealedSource } from '../core/ports/sealed-source.ts';
import type { BeliefIndex } from '../ports/beliefs.ts';
import type { Chains, OwnChain } from '../ports/chains.ts';
import type { PutBack } from '../ports/put-back.ts';
import type { VaultFileKind } from './put-vault-files.ts';

/** What replication works with, whatever the target. */
export interface ReplicateDeps {
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly sodium: Sodium;
  readonly opener: Opener;
  readonly vault: VaultId;
  /** This agent's incarnation. */
  readonly self: { readonly agentId: AgentId; readonly incarnation: number; readonly signSeed: Uint8Array };
  readonly index: {
    readonly chunks: Pick<ChunkIndex, 'locate' | 'addPack'>;
    readonly log: Pick<LogIndex, 'snapshot' | 'snapshots'>;
    readonly beliefs: BeliefIndex;
    readonly kv: KeyValue;
  };
  readonly chains: Chains;
  /** This agent's own chain. */
  readonly chain: OwnChain;
  readonly putBack: PutBack;
  readonly asked: AskedChunks;
  /** Where sealed chunks are read from, own disk first. */
  readonly sources: readonly SealedSource[];
  /** The vault's clear files as they are now. */
  readonly files: {
    descriptor(): Promise<Uint8Array>;
    slots(): Promise<readonly { readonly slotId: string; readonly bytes: Uint8Array }[]>;
    cards(): Promise<readonly { readonly agent: AgentId; readonly incarnation: number; readonly bytes: Uint8Array }[]>;
    /** Marks of removed slots. */
    removals?(): Promise<readonly { readonly slotId: string; readonly bytes: Uint8Array }[]>;
    /**
     * Learns from a file that lies in a bucket when it verifies and is newer than the one here. True when it may be replaced: it is older, or nobody
     * signed it.
     */
    mayReplace?(kind: VaultFileKind, stored: Uint8Array, where: string): Promise<boolean>;
  };
  /** A holder that has the bodies made other parts than those of an own checkpoint. */
  readonly onFalseCheckpoint?: (found: { readonly shard: number; readonly seq: number; readonly by: string }) => void;
  readonly progress?: ReportProgress;
}

/** What one pass over one target did. */
export interface ReplicateReport {
  readonly target: string;
  readonly chunks: number;
  /** Sealed bytes of chunks that the target was asked to hold. */
  readonly bytes: number;
  /** Of these, bytes that had to be sent. */
  readonly sentBytes: number;
  /** Entries of the chain that were sent. */
  readonly entries: number;
  /** The newest own entry that the target has now, with everything it reaches: said by the target in this pass. */
  readonly position: Position | undefined;
  /** Of a bucket: what tells it from others when copies are counted (docs/chain.md 5.4, 6.2). */
  readonly bucket?: { readonly storeId: HexId; readonly location: HexId };
}
