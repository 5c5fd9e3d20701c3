/** The nouns of recovery: what the sources gave, what of it is believed, and what a new machine gets from it. */
import type { Sodium } from '../codec/sodium.ts';
import type { RandomBytes } from '../core/clock.ts';
import type { AgentId, RecordHash } from '../core/ids.ts';
import type { RecoverySource } from '../core/ports/peer.ts';
import type { ReportProgress, ReportWarning } from '../core/ports/progress.ts';
import type { Card } from '../keys/card.ts';
import type { VaultDescriptor } from '../keys/vault-descriptor.ts';
import type { VaultKeys } from '../keys/vault-keys.ts';
import type { Head, Settings, SnapshotBody } from '../log/record-body.ts';

export interface RecoverInput {
  /** Asked in this order; each may fail as long as one gives what is needed. */
  readonly sources: readonly RecoverySource[];
  /** From the recovery sheet, 32 bytes each. */
  readonly vaultKey: Uint8Array;
  readonly adminSeed: Uint8Array;
  /** Which agent to become, by its name or by the beginning of its id; may be left out when the vault has only one. */
  readonly agent?: string | undefined;
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

/** A record that its agent signed, opened. */
export interface RecoveredSnapshot {
  readonly id: RecordHash;
  readonly incarnation: number;
  readonly seq: number;
  readonly body: SnapshotBody;
}

/** What some snapshot cannot be restored from the sources that were given. */
export interface RecoverGap {
  readonly snapshot: RecordHash;
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
  /** Undefined when no source has a record of it. */
  readonly head: Head | undefined;
  /** When the newest snapshot was taken: how old what comes back is. */
  readonly headTimeNs: bigint | undefined;
  /** Labels of the sources that have the head. With one source and no memory a rollback cannot be found (P6). */
  readonly vouchedBy: readonly string[];
  readonly settings: Settings | undefined;
  /** Live snapshots of the agent. */
  readonly snapshots: readonly RecoveredSnapshot[];
  /** What the sources lack of them; empty when everything can come back. */
  readonly gaps: readonly RecoverGap[];
  readonly slots: readonly { readonly slotId: string; readonly bytes: Uint8Array }[];
  readonly slotRemovals: readonly { readonly slotId: string; readonly bytes: Uint8Array }[];
  readonly cards: readonly VerifiedCard[];
  /** Verified records of the agent in (incarnation, seq) order. */
  readonly records: readonly Uint8Array[];
  /** Of the new life: one more than any that was seen. */
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
