/** What the peer server answers from. The agent builds it over the engine; tests over memory. */
import type {
  AgentId,
  ChunkId,
  Head,
  HoldReply,
  Member,
  PeerState,
  RecordPlace,
  VerifiedBytes,
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
  hold(owner: Member, batch: Uint8Array): Promise<HoldReply>;
  receive(owner: Member, op: number, frames: AsyncIterable<FrameItem>, signal: AbortSignal): Promise<Uint8Array>;
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
  state(reader: AgentId | undefined): Promise<PeerState>;
  /** Some records after the place, oldest first, at most about `bytesMax`; none at the end. */
  records(agent: AgentId, after: RecordPlace | undefined, bytesMax: number): Promise<readonly Uint8Array[]>;
  addRecords(owner: Member, records: readonly Uint8Array[]): Promise<Head>;
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

export interface RecoveryAnswer {
  readonly vault: Uint8Array;
  readonly slots: readonly Uint8Array[];
  readonly removals: readonly Uint8Array[];
  readonly cards: readonly Uint8Array[];
}
