/** The header of an entry and its signature: 203 bytes that verify without the body (docs/formats/chain.md). */
import type { AgentId, HexId, VaultId } from '../core/ids.ts';
import type { Link } from './position.ts';

export const EntryKind = {
  record: 1,
  add: 2,
  release: 3,
  holdCheckpoint: 5,
  takeover: 7,
  dropBranch: 8,
  recordCheckpoint: 9,
} as const;
export type EntryKind = (typeof EntryKind)[keyof typeof EntryKind];

export interface EntryHeader {
  readonly vault: VaultId;
  readonly agent: AgentId;
  readonly incarnation: number;
  readonly seq: number;
  readonly previous: Link;
  readonly kind: EntryKind;
  readonly shard: number;
  /** 0: the body is in the clear. */
  readonly keyId: number;
  readonly bodyBytes: number;
  readonly bodySha256: HexId;
}

export interface SignedHead {
  readonly header: EntryHeader;
  /** Header 139 ‖ signature 64. */
  readonly bytes: Uint8Array;
  /** Entry digest e = SHA-256 of `bytes`. */
  readonly digest: HexId;
  /** Link of this entry = SHA-256(previous ‖ e). */
  readonly link: Link;
}
