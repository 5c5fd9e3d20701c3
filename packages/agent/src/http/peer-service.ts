/** What the peer server answers from. The agent builds it over the engine; tests over memory. */
import type {
  AgentId,
  ChainEntry,
  ChunkId,
  EntryBodies,
  EntryBody,
  FormsOfEntry,
  Member,
  PartOfCheckpoint,
  PeerState,
  Position,
  StatementAnswer,
  StatementQuestion,
  VerifiedBytes,
  WantedParts,
} from '@edgestore/engine';
import type { FrameItem } from './frame-stream.ts';
import type { Hello } from './hello.ts';

export interface PeerService {
  /** The member whose newest card has this pin. */
  memberByPin(pin: string): Member | undefined;
  /** True for a machine that proved the recovery key over this pin: it may read. */
  mayRecover(pin: string): boolean;
  readonly vault: string;
  /** Takes the cards of a hello (verifying each) and answers with ours. */
  hello(hello: Hello): Promise<Hello>;
  /** What is here of an owner. Any member, or a machine under recovery, may ask about any owner. */
  statement(question: StatementQuestion): Promise<StatementAnswer>;
  /** `caller` proved its key; `owner` is whose chain it is about. E_DENIED unless the caller is the owner. */
  takeEntries(caller: Member, owner: AgentId, entries: readonly ChainEntry[]): Promise<Position>;
  takeBodies(caller: Member, owner: AgentId, bodies: readonly EntryBody[]): Promise<void>;
  missingBodies(owner: AgentId, shard: number, limit: number): Promise<readonly number[]>;
  /** See `Holder.wantedParts`. */
  wantedParts(owner: AgentId, shard: number): Promise<WantedParts>;
  /** Bytes of a part of a checkpoint that is here; nothing longer is read. */
  partBytes(caller: Member, owner: AgentId, part: PartOfCheckpoint): number;
  takePart(caller: Member, owner: AgentId, part: PartOfCheckpoint, bytes: Uint8Array): Promise<void>;
  joinByParts(caller: Member, owner: AgentId, shard: number, seq: number): Promise<void>;
  wanted(owner: AgentId, page: WantedPage): Promise<readonly FormsOfEntry[]>;
  /** Answers how many frames were stored. */
  receive(caller: Member, owner: AgentId, frames: AsyncIterable<FrameItem>, signal: AbortSignal): Promise<number>;
  /** Some entries after the seq, in order, at most about `bytesMax`; none at the end. */
  entries(
    owner: AgentId,
    options: {
      readonly afterSeq: number;
      readonly bodies: EntryBodies;
      readonly bytesMax: number;
      /** The tip of a branch whose entries are wanted; undefined for the chain that is followed. */
      readonly branch?: string | undefined;
      /** Entries that are damaged here are passed over, instead of an error. */
      readonly leavesGaps: boolean;
    },
  ): Promise<readonly ChainEntry[]>;
  locate(
    ids: readonly ChunkId[],
  ): Promise<readonly ({ readonly sealedBytes: number; readonly keyId: number } | undefined)[]>;
  read(ids: readonly ChunkId[], signal: AbortSignal): AsyncIterable<FrameItem>;
  /** See `PeerLink.verify`. */
  verify(
    nonce: Uint8Array,
    ids: readonly ChunkId[],
    of: VerifiedBytes,
    signal: AbortSignal,
  ): Promise<readonly (Uint8Array | undefined)[]>;
  state(): Promise<PeerState>;
  slots(): Promise<readonly Uint8Array[]>;
  addSlots(slots: readonly Uint8Array[]): Promise<void>;
  /** An invited machine; `clientPin` is of the key that the connection proved. */
  join(request: Uint8Array, clientPin: string, remoteAddress: string): Promise<Uint8Array>;
  /** This agent's admin-signed card: how a machine under recovery knows that it speaks to a member. */
  ownCard(): Uint8Array;
  challenge(clientPin: string): Uint8Array;
  /** Vault descriptor, slots and cards after proof of the recovery key. */
  recover(proof: Uint8Array, clientPin: string): Promise<RecoveryAnswer>;
}

export interface WantedPage {
  readonly shard: number;
  readonly afterSeq: number;
  readonly entriesMax: number;
}

export interface RecoveryAnswer {
  readonly vault: Uint8Array;
  readonly slots: readonly Uint8Array[];
  readonly removals: readonly Uint8Array[];
  readonly cards: readonly Uint8Array[];
}
