/**
 * Another agent as flows see it. The agent package implements it over HTTPS (`docs/formats/peer-protocol.md`); tests use memory. Whatever a
 * peer answers is checked by the caller: it may be wrong, old or hostile, but a `PeerLink` only ever speaks to the one whose pin matched.
 */

import type { Head } from '../../log/record-body.ts';
import type { AgentId, ChunkId, HexId } from '../ids.ts';
import type { SealedSource } from './sealed-source.ts';

export interface PeerLink {
  readonly agent: AgentId;
  readonly name: string;
  readonly site: string;
  /** For messages: `dc-a (https://dc-a.example:7420)`. */
  readonly label: string;
  /** Reads sealed chunks there; `kind` is `peers`. */
  readonly source: SealedSource;

  /**
   * Asks to hold the chunks of a signed batch (`docs/formats/hold.md`). Answers which it lacks, as positions in the batch; and the receipt
   * at once when it lacks none. E_ROLLBACK when the batch is behind what the holder has witnessed; E_DENIED for another vault.
   */
  hold(batch: Uint8Array, signal?: AbortSignal): Promise<HoldReply>;
  /**
   * Streams the sealed chunks that the batch of this operation lacks; answers the holder's receipt, given after they are durable there.
   * E_NO_SPACE when the holder is full.
   */
  sendFrames(op: number, frames: AsyncIterable<OutgoingFrame>, signal?: AbortSignal): Promise<Uint8Array>;
  /** The newest record that the peer has of each agent's log, and the last hold operation of this agent. */
  state(signal?: AbortSignal): Promise<PeerState>;
  /** Records of one agent's log, oldest first, after the given place; each is one whole record. */
  records(agent: AgentId, after: RecordPlace | undefined, signal?: AbortSignal): AsyncIterable<Uint8Array>;
  /** Hands over records of this agent's log, in order. Answers the newest that is durable there. */
  sendRecords(records: readonly Uint8Array[], signal?: AbortSignal): Promise<Head>;
  /** Hands over key slots (public files; each opens the vault key with a secret); the peer keeps those it lacks. */
  sendSlots(slots: readonly Uint8Array[], signal?: AbortSignal): Promise<void>;
  /**
   * BLAKE2b-256 keyed with `nonce` (32 bytes) over each chunk, re-read from the medium for this call; undefined where the copy is absent or
   * damaged. With it the caller verifies a copy without moving it (P5). `sealed` is over the bytes as they lie there; `plain` over what they
   * open to, for copies that were sealed at another time, and undefined also where the holder has no key.
   */
  verify(
    nonce: Uint8Array,
    ids: readonly ChunkId[],
    of: VerifiedBytes,
    signal?: AbortSignal,
  ): Promise<(Uint8Array | undefined)[]>;
}

/** Which bytes of a chunk `verify` hashes. */
export type VerifiedBytes = 'sealed' | 'plain';

export interface HoldReply {
  /** Positions in the batch of chunks to send, ascending. */
  readonly missing: readonly number[];
  /** Present when nothing is missing. */
  readonly receipt: Uint8Array | undefined;
}

export interface OutgoingFrame {
  readonly id: ChunkId;
  readonly keyId: number;
  readonly packClass: 'data' | 'meta';
  readonly sealed: Uint8Array;
}

export interface RecordPlace {
  readonly incarnation: number;
  readonly seq: number;
}

export interface PeerState {
  readonly heads: readonly { readonly agent: AgentId; readonly head: Head }[];
  /** The newest operation number of this agent's hold batches there; 0 when there was none. */
  readonly lastOp: number;
  /** Ids of the key slots there. */
  readonly slots: readonly HexId[];
}

/** The other agents of the vault, as membership and configuration know them. */
export interface PeerDirectory {
  /** Every known member but this agent, reachable or not. */
  members(): readonly Member[];
  /** Undefined when no address is known. Links are made once and shared. */
  link(agent: AgentId): PeerLink | undefined;
}

/** What an admin-signed card and the configuration say of an agent. */
export interface Member {
  readonly agent: AgentId;
  readonly incarnation: number;
  readonly name: string;
  readonly site: string;
  readonly role: 'edge' | 'holder' | 'reader';
  readonly addresses: readonly string[];
  /** Relative share of owners that it takes; 1 is usual. */
  readonly weight: number;
  /** Ed25519, verifies its records and receipts; 32 bytes. */
  readonly signPublicKey: Uint8Array;
  /** SHA-256 of its TLS key's SPKI, lower-case hex. */
  readonly tlsSpkiSha256: HexId;
}

/** A place that a whole machine can be brought back from: a peer after proof of the recovery key, or a bucket. */
export interface RecoverySource {
  readonly label: string;
  readonly kind: 'peers' | 's3';
  /** Reads sealed chunks there. */
  readonly source: SealedSource;
  /** The vault descriptor's bytes. E_NO_BUCKET or E_NO_VAULT when there is none. */
  vaultDescriptor(signal?: AbortSignal): Promise<Uint8Array>;
  slots(signal?: AbortSignal): Promise<readonly Uint8Array[]>;
  /** Marks of removed slots, unverified. */
  slotRemovals(signal?: AbortSignal): Promise<readonly Uint8Array[]>;
  /** Admin-signed cards, unverified. */
  cards(signal?: AbortSignal): Promise<readonly Uint8Array[]>;
  heads(signal?: AbortSignal): Promise<readonly { readonly agent: AgentId; readonly head: Head }[]>;
  /** Records of one agent's log, oldest first, all incarnations. */
  records(agent: AgentId, signal?: AbortSignal): AsyncIterable<Uint8Array>;
}
