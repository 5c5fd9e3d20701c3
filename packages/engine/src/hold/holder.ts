/**
 * What this store does for the owners of other chains: takes their entries, bodies and frames, says what it has, and proves its copies. Every call may be
 * repeated. The caller of a request and the owner whose chain it is about are two things; who may do what for whom is the caller's business.
 */

import type { Position } from '../chain/position.ts';
import type { Backing } from '../chain/statement.ts';
import type { Sodium } from '../codec/sodium.ts';
import type { Clock } from '../core/clock.ts';
import { failpoint } from '../core/failpoint.ts';
import type { AgentId, ChunkId, PackName, VaultId } from '../core/ids.ts';
import type { ChunkStore } from '../core/ports/chunk-store.ts';
import type { IdentifyFrames } from '../core/ports/identify-frames.ts';
import type { ChunkIndex } from '../core/ports/index.ts';
import type {
  EntryBody,
  OutgoingFrame,
  PartOfCheckpoint,
  StatementAnswer,
  StatementQuestion,
  VerifiedBytes,
} from '../core/ports/peer.ts';
import type { ChainEntry, Chains, FormsOfEntry, OwnerKeys } from '../ports/chains.ts';
import type { WantedParts } from '../ports/checkpoints.ts';
import type { StoreIdentity } from '../ports/store-identity.ts';
import type { HashPlaintexts } from './hash-plaintexts.ts';
import { identifyWanted } from './identify-wanted.ts';
import { makeStatement } from './make-statement.ts';
import { receiveFrames } from './receive-frames.ts';
import { verifyCopies } from './verify-copies.ts';

export interface Holder {
  /** Says what is here of an owner, for the asker's nonce. A store that is shown a statement of its own from its future raises its epoch first. */
  statement(question: StatementQuestion): StatementAnswer;
  /** Takes entries of another owner's chain. Durable and applied when it resolves. See `Chains.take` for what is refused. */
  takeEntries(owner: OwnerKeys, entries: readonly ChainEntry[]): Promise<Position>;
  takeBodies(owner: AgentId, bodies: readonly EntryBody[]): Promise<void>;
  missingBodies(owner: AgentId, shard: number, limit: number): readonly number[];
  /** Parts of the newest checkpoint of a shard that are taken here in the place of bodies (docs/chain.md 8.1). */
  wantedParts(owner: AgentId, shard: number): Promise<WantedParts>;
  partBytes(owner: AgentId, part: PartOfCheckpoint): number;
  takePart(owner: AgentId, part: PartOfCheckpoint, bytes: Uint8Array): Promise<void>;
  joinByParts(owner: AgentId, shard: number, seq: number): Promise<void>;
  /** Forms that are not satisfied. Copies of other owners, and those that a rebuild found, are opened first where the key is. */
  wanted(
    owner: AgentId,
    page: { readonly shard: number; readonly afterSeq: number; readonly entriesMax: number },
  ): Promise<readonly FormsOfEntry[]>;
  /**
   * Takes frames of listed forms into packs. Answers how many were stored; all of them are durable and satisfy their holds then. E_INTEGRITY for a frame
   * whose form is not listed or that does not open to its id: the frames before it are kept.
   */
  receive(owner: AgentId, frames: AsyncIterable<OutgoingFrame>, signal?: AbortSignal): Promise<number>;
  /** See `PeerLink.verify`. Re-reads from the local packs. */
  verify(
    nonce: Uint8Array,
    ids: readonly ChunkId[],
    of: VerifiedBytes,
    signal?: AbortSignal,
  ): Promise<(Uint8Array | undefined)[]>;
}

export interface HolderDeps {
  readonly sodium: Sodium;
  readonly vault: VaultId;
  /** This agent: its log key signs statements. */
  readonly self: { readonly agentId: AgentId; readonly incarnation: number; readonly signSeed: Uint8Array };
  readonly clock: Clock;
  readonly store: StoreIdentity;
  readonly chains: Chains;
  readonly index: {
    readonly chunks: Pick<ChunkIndex, 'beginSession' | 'endSession' | 'locate' | 'markCopies' | 'settleLosses'> & {
      noteIdentified(copies: readonly { readonly id: ChunkId; readonly pack: PackName }[]): void;
    };
  };
  readonly chunks: ChunkStore;
  /** Buckets that stand behind copies of an owner's chunks here. */
  readonly backing: (owner: AgentId) => readonly Backing[];
  /** Opens frames and says which are what their ids name; undefined on a blind holder. */
  readonly identify: IdentifyFrames | undefined;
  /** Opens chunks and hashes what is in them; undefined on a blind holder. */
  readonly hashPlaintexts: HashPlaintexts | undefined;
  /** Called when an owner asked or sent something. */
  readonly heard?: (owner: AgentId) => void;
  /** Entries or bodies were taken: something may have been released. */
  readonly onTaken?: () => void;
}

/** Entries in one page of wanted forms: bounds what the answer and the look-ups hold in memory. */
export const WANTED_ENTRIES_MAX = 16;

export function createHolder(deps: HolderDeps): Holder {
  const { chains } = deps;
  // One change at a time for each owner's chain: entries are taken in order.
  const last = new Map<AgentId, Promise<unknown>>();
  const inTurn = <T>(owner: AgentId, work: () => Promise<T>): Promise<T> => {
    const turn = (last.get(owner) ?? Promise.resolve()).then(work);
    last.set(
      owner,
      turn.catch(() => {}),
    );
    return turn;
  };
  return {
    statement: (question) => {
      deps.heard?.(question.owner);
      return makeStatement(question, deps);
    },
    takeEntries: (owner, entries) =>
      inTurn(owner.agent, async () => {
        const position = await chains.take(owner, entries);
        failpoint('hold.entries-taken');
        deps.heard?.(owner.agent);
        deps.onTaken?.();
        return position;
      }),
    takeBodies: (owner, bodies) =>
      inTurn(owner, async () => {
        await chains.takeBodies(owner, bodies);
        deps.onTaken?.();
      }),
    missingBodies: (owner, shard, limit) => chains.missingBodies(owner, shard, limit),
    wantedParts: (owner, shard) => chains.parts.wanted(owner, shard),
    partBytes: (owner, { shard, seq, byte }) => chains.parts.bytesOf(owner, shard, seq, byte),
    takePart: (owner, { shard, seq, byte }, bytes) =>
      inTurn(owner, () => chains.parts.take(owner, shard, seq, byte, bytes)),
    joinByParts: (owner, shard, seq) => inTurn(owner, () => chains.parts.join(owner, shard, seq)),
    wanted: async (owner, { shard, afterSeq, entriesMax }) => {
      const page = (): readonly FormsOfEntry[] =>
        chains.unsatisfied(owner, shard, afterSeq, Math.min(entriesMax, WANTED_ENTRIES_MAX));
      const wanted = page();
      return (await identifyWanted(owner, wanted, deps)) ? page() : wanted;
    },
    receive: async (owner, frames, signal) => {
      const count = await receiveFrames(owner, frames, deps, signal);
      failpoint('hold.frames-stored');
      return count;
    },
    verify: (nonce, ids, of, signal) => verifyCopies(nonce, ids, of, deps, signal),
  };
}
