import type { Position } from '../../chain/position.ts';
import type { Sodium } from '../../codec/sodium.ts';
import type { Clock } from '../../core/clock.ts';
import type { AgentId, VaultId } from '../../core/ids.ts';
import type { ChainIndex, ChainRow } from '../../ports/chain-index.ts';
import type { ApplyDeps } from './apply-entries.ts';
import type { ChainBytes } from './read-chain-bytes.ts';

/** What a takeover's card says of its incarnation. */
export interface CardOfTakeover {
  readonly agentId: AgentId;
  readonly incarnation: number;
  readonly signPublicKey: Uint8Array;
  readonly base: Position | undefined;
}

export interface ChainsDeps extends ApplyDeps {
  readonly chainsDir: string;
  readonly index: ChainIndex;
  readonly bytes: ChainBytes;
  readonly vault: VaultId;
  readonly self: AgentId;
  readonly sodium: Sodium;
  readonly clock: Clock;
  /** The log key of an incarnation, from the cards here; undefined where no card is known. */
  readonly signPublicKey: (agent: AgentId, incarnation: number) => Uint8Array | undefined;
  /** Verifies the card in a takeover's body with the admin key. E_INTEGRITY, E_FORMAT. */
  readonly openCard: (body: Uint8Array) => CardOfTakeover;
  /** Raised and durable before something that was here is called lost (docs/chain.md 4.1). */
  readonly raiseEpoch: () => void;
  /** Free bytes of the data dir's file system, and the floor below which nothing new is stored (docs/chain.md 3.3). */
  readonly freeSpace?: (() => Promise<{ readonly freeBytes: number; readonly floorBytes: number }>) | undefined;
  /** Removes the files of a branch whose rows are gone. */
  readonly removeBranch: (branch: ChainRow) => Promise<void>;
  /** For tests: a new chain file is begun after so many bytes. */
  readonly fileBytes?: number;
}
