/**
 * Another agent as flows see it. The agent package implements it over HTTPS (`docs/formats/peer-protocol.md`); tests use memory. Whatever a
 * peer answers is checked by the caller: it may be wrong, old or hostile, but a `PeerLink` only ever speaks to the one whose pin matched.
 */

import type { Position } from '../../chain/position.ts';
import type { Branch, ChainEntry, FormsOfEntry } from '../../ports/chains.ts';
import type { WantedParts } from '../../ports/checkpoints.ts';
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

  /** Asks what the peer has of an owner. The answer is unverified (docs/formats/statement.md). */
  statement(question: StatementQuestion, signal?: AbortSignal): Promise<StatementAnswer>;
  /**
   * Hands over entries of an owner's chain, in order. Answers the end that is durable there. E_FORK, E_ROLLBACK; E_DENIED for another vault or owner;
   * E_NO_SPACE when even the reserve is used up.
   */
  sendEntries(owner: AgentId, entries: readonly ChainEntry[], signal?: AbortSignal): Promise<Position>;
  /** Entries of an owner's chain after a seq, in order, unverified. `bodies`: which entries come with their body. */
  entries(
    owner: AgentId,
    options: { readonly afterSeq: number; readonly bodies: EntryBodies },
    signal?: AbortSignal,
  ): AsyncIterable<ChainEntry>;
  /** Seqs of the shard's hold entries whose bodies the peer lacks, ascending. */
  missingBodies(owner: AgentId, shard: number, limit: number, signal?: AbortSignal): Promise<readonly number[]>;
  /**
   * What the peer says of the newest hold checkpoint of a shard, and which of its parts it takes in the place of
   * bodies.
   */
  wantedParts(owner: AgentId, shard: number, signal?: AbortSignal): Promise<WantedParts>;
  /**
   * Hands over a part. Durable there when it resolves. E_INTEGRITY where it is not the one that the checkpoint names;
   * E_NO_SPACE.
   */
  sendPart(owner: AgentId, part: PartOfCheckpoint, bytes: Uint8Array, signal?: AbortSignal): Promise<void>;
  /** All parts are there: the shard goes on from them. */
  joinByParts(owner: AgentId, shard: number, seq: number, signal?: AbortSignal): Promise<void>;
  /** Hands over bodies of hold entries whose headers are there. E_NO_SPACE when the peer keeps its reserve. */
  sendBodies(owner: AgentId, bodies: readonly EntryBody[], signal?: AbortSignal): Promise<void>;
  /** Forms that the peer asks for, by their places in the owner's add entries: at most `entriesMax` entries after a seq, ascending. */
  wanted(
    owner: AgentId,
    page: { readonly shard: number; readonly afterSeq: number; readonly entriesMax: number },
    signal?: AbortSignal,
  ): Promise<readonly FormsOfEntry[]>;
  /** Streams sealed chunks of listed forms. Answers how many were stored: they are durable there. E_NO_SPACE when the peer is full. */
  sendFrames(owner: AgentId, frames: AsyncIterable<OutgoingFrame>, signal?: AbortSignal): Promise<number>;
  /** The end of each chain that the peer has, its branches, and its key slots. */
  state(signal?: AbortSignal): Promise<PeerState>;
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

export interface StatementQuestion {
  readonly owner: AgentId;
  /** 32 random bytes of the asker. */
  readonly nonce: Uint8Array;
  /** The lists of what is not satisfied come with the statement, of the same moment. */
  readonly wantsLists: boolean;
  /** The newest statement that the asker has of this store. A store that was put back finds itself by it (docs/chain.md 4.1). */
  readonly shown: Uint8Array | undefined;
}

export interface StatementAnswer {
  readonly statement: Uint8Array;
  /** As many as the statement has shards; empty bytes where no list is made. None when they were not asked for. */
  readonly lists: readonly Uint8Array[];
}

/** `all` bodies; only those of records, takeovers and their like (`records`); or `none`. */
export type EntryBodies = 'all' | 'records' | 'none';

/** A part of the hold checkpoint whose entry has the seq. */
export interface PartOfCheckpoint {
  readonly shard: number;
  readonly seq: number;
  /** First byte of its ids. */
  readonly byte: number;
}

export interface EntryBody {
  readonly seq: number;
  readonly body: Uint8Array;
}

export interface OutgoingFrame {
  readonly id: ChunkId;
  readonly keyId: number;
  readonly packClass: 'data' | 'meta';
  readonly sealed: Uint8Array;
}

export interface PeerState {
  readonly positions: readonly { readonly agent: AgentId; readonly position: Position }[];
  readonly branches: readonly Branch[];
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
  /** Ed25519, verifies its entries and statements; 32 bytes. */
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
  /** 1 where the source has a copy of the chunk. Throws when it cannot be asked. */
  has(ids: readonly ChunkId[], signal?: AbortSignal): Promise<Uint8Array>;
  /** Entries of one agent's chain, in order, then those of its branches, with the bodies of their records at least. */
  entries(agent: AgentId, signal?: AbortSignal): AsyncIterable<ChainEntry>;
}
