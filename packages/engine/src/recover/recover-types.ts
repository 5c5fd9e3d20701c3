/** The nouns of recovery: what the sources gave, what of it is believed, and what a new machine gets from it. */

import type { Link, Position } from '../chain/position.ts';
import type { Sodium } from '../codec/sodium.ts';
import type { RandomBytes } from '../core/clock.ts';
import type { AgentId } from '../core/ids.ts';
import type { RecoverySource } from '../core/ports/peer.ts';
import type { ReportProgress, ReportWarning } from '../core/ports/progress.ts';
import type { Card } from '../keys/card.ts';
import type { VaultDescriptor } from '../keys/vault-descriptor.ts';
import type { VaultKeys } from '../keys/vault-keys.ts';
import type { Settings, SnapshotBody } from '../log/record-body.ts';
import type { EntrySpool } from '../store/chains/entry-spool.ts';
import type { ChainState } from './chain-state.ts';
import type { TreeBranch } from './chain-tree.ts';
import type { GatheredEntry } from './gather-chain.ts';

export interface RecoverInput {
  /** Asked in this order; each may fail as long as one gives what is needed. */
  readonly sources: readonly RecoverySource[];
  /** From the recovery sheet, 32 bytes each. */
  readonly vaultKey: Uint8Array;
  readonly adminSeed: Uint8Array;
  /** Which agent to become, by its name or by the beginning of its id; may be left out when the vault has only one. */
  readonly agent?: string | undefined;
  /** The end of the branch to go on from, by the beginning of its link; needed only where the newest incarnation has several. */
  readonly branch?: string | undefined;
  /** Without it, nothing can be applied; with it, hold bodies are kept while the sources are read once. */
  readonly spool?: EntrySpool | undefined;
  /** Takes no branch for the one to go on from: all are listed, and none is chosen. */
  readonly isReadOnly?: boolean;
}

export interface RecoverDeps {
  readonly sodium: Sodium;
  readonly warn: ReportWarning;
  readonly progress?: ReportProgress;
}

/** A card that the admin signed. */
export interface VerifiedCard {
  readonly card: Card;
  readonly bytes: Uint8Array;
}

/** A snapshot that its agent signed, opened. */
export interface RecoveredSnapshot {
  readonly id: Link;
  readonly incarnation: number;
  readonly seq: number;
  readonly shard: number;
  readonly body: SnapshotBody;
  /** Something that it reaches was given up, or the chain before it is lost: it counts for no level. */
  readonly damaged: boolean;
  /** The end of the branch that it is on; undefined for the chain that goes on. */
  readonly branch: Link | undefined;
}

/** One end of the agent's chain: where two machines wrote as one agent, or what a takeover left behind. */
export interface RecoverBranch {
  readonly tip: Position;
  /** The last entry that it shares with the chosen chain; undefined for none, and for the chosen chain itself. */
  readonly base: Position | undefined;
  readonly isChosen: boolean;
  /** Name and site that the card of its incarnation gives the machine. */
  readonly name: string;
  readonly site: string;
  /** Its own snapshots, oldest first: of the chosen chain all. */
  readonly snapshots: readonly { readonly id: Link; readonly root: string; readonly timeNs: bigint }[];
  /** Labels of sources that have its end. */
  readonly seenAt: readonly string[];
}

/** What some snapshot cannot be restored from the sources that were given. */
export interface RecoverGap {
  readonly snapshot: Link;
  readonly root: string;
  readonly files: number;
  readonly filesTotal: number;
  /** Plain bytes of the chunks that no source has. */
  readonly bytes: number;
  /** Parts of the tree that cannot be read, so that nothing is known about what lies below. */
  readonly broken: number;
}

export interface RecoverPlan {
  readonly descriptor: VaultDescriptor;
  readonly descriptorBytes: Uint8Array;
  readonly keys: VaultKeys;
  readonly vaultKey: Uint8Array;
  readonly adminSeed: Uint8Array;
  /** The newest card of the agent that is recovered. */
  readonly agent: Card;
  /** The newest entry of the chain that goes on; undefined when no source has an entry of the agent. */
  readonly head: Position | undefined;
  /** Every end that was found, newest first. More than one means that nothing of them is lost, and one is chosen. */
  readonly branches: readonly RecoverBranch[];
  /** When the newest snapshot was taken: how old what comes back is. */
  readonly headTimeNs: bigint | undefined;
  /** Labels of the sources that have the head. With one source and no memory a rollback cannot be found (P6). */
  readonly vouchedBy: readonly string[];
  readonly settings: Settings | undefined;
  /** Live snapshots of the agent, those of branches too. */
  readonly snapshots: readonly RecoveredSnapshot[];
  /** What the sources lack of them; empty when everything can come back. */
  readonly gaps: readonly RecoverGap[];
  readonly slots: readonly { readonly slotId: string; readonly bytes: Uint8Array }[];
  readonly slotRemovals: readonly { readonly slotId: string; readonly bytes: Uint8Array }[];
  readonly cards: readonly VerifiedCard[];
  /** The chosen chain from its first entry on. */
  readonly trail: readonly GatheredEntry[];
  readonly sideChains: readonly TreeBranch<GatheredEntry>[];
  /**
   * Entries behind a gap, in order. A takeover carries their snapshots in its record checkpoint; a reader gets the
   * entries themselves.
   */
  readonly loose: readonly GatheredEntry[];
  /** What holds on the chosen chain, with snapshots from behind gaps, for a record checkpoint. */
  readonly state: ChainState;
  /** Shards with holds whose bodies no source has: their roots go on in new shards. */
  readonly brokenShards: readonly number[];
  readonly spool: EntrySpool | undefined;
  /** Of the next incarnation: one more than any that was seen. */
  readonly nextIncarnation: number;
}

/** Who the recovered machine is. */
export type NewLife =
  /** The agent itself, in a new life: an admin-signed takeover. */
  | { readonly as: 'takeover' }
  /** Another, new agent that only reads. */
  | { readonly as: 'reader'; readonly agentId: AgentId; readonly name: string };

export interface ApplyRecoverInput {
  readonly plan: RecoverPlan;
  readonly life: NewLife;
  readonly site: string;
  /** Made for this machine. */
  readonly tls: { readonly keyPem: string; readonly certPem: string; readonly spkiSha256: Uint8Array };
  /** Where it will listen; empty for an agent that only calls. */
  readonly addresses: readonly string[];
}

export interface ApplyRecoverDeps {
  readonly sodium: Sodium;
  readonly random: RandomBytes;
  /**
   * Called when all is written but the file that makes the folder a data dir: configuration, a stored key and its slot. What it throws leaves the
   * recovery unfinished; it may be called again.
   */
  readonly beforeCommit: () => Promise<void>;
}
