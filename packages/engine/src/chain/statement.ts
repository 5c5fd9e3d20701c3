/** A holder's signed answer to a nonce: what it has of one owner (docs/formats/statement.md). Types only; the encoding is beside them. */
import type { AgentId, ChunkId, HexId, VaultId } from '../core/ids.ts';
import type { Position } from './position.ts';

export const UNSATISFIED_REASONS = ['wanted', 'lost', 'unreadable'] as const;
export type UnsatisfiedReason = (typeof UNSATISFIED_REASONS)[number];

export interface StatedShard {
  readonly shard: number;
  readonly applied: number;
  readonly whole: number;
  readonly wanted: number;
  readonly lost: number;
  readonly unreadable: number;
  /** SHA-256 of the list; zeros above 65,536 ids, where no list is made. */
  readonly listDigest: HexId;
}

/** A bucket that stands behind copies of the holder. */
export interface Backing {
  readonly storeId: HexId;
  readonly location: HexId;
  readonly shards: readonly number[];
}

export interface Statement {
  readonly vault: VaultId;
  readonly holder: AgentId;
  readonly holderIncarnation: number;
  readonly storeId: HexId;
  readonly epoch: bigint;
  readonly startId: HexId;
  readonly owner: AgentId;
  /** The durable end of the owner's chain there; undefined for none. */
  readonly position: Position | undefined;
  readonly layoutVersion: number;
  /** 32 bytes, the asker's. */
  readonly nonce: Uint8Array;
  /** Links of branch tips. */
  readonly branches: readonly HexId[];
  /** For people only. */
  readonly wallNs: bigint;
  readonly shards: readonly StatedShard[];
  readonly backing: readonly Backing[];
}

/** What a shard does not have, sorted by id. */
export type UnsatisfiedList = readonly { readonly id: ChunkId; readonly reason: UnsatisfiedReason }[];
