/**
 * The chains on this disk, own and others', as flows see them: files that are the truth, and the hold state that the index keeps of them.
 * Rules are those of docs/chain.md; section numbers below are its own.
 */
import type { SignedHead } from '../chain/entry-head.ts';
import type { Form } from '../chain/forms.ts';
import type { Link, Position } from '../chain/position.ts';
import type { UnsatisfiedReason } from '../chain/statement.ts';
import type { EdgeError } from '../core/errors.ts';
import type { AgentId, ChunkId } from '../core/ids.ts';
import type { RecordBody } from '../log/record-body.ts';
import type { HoldState } from './chain-index.ts';
import type { ChainParts, CheckpointPolicy, MadeCheckpoint } from './checkpoints.ts';

/** One entry. `body` is undefined where only the header is here (kinds 2, 3 and 5). */
export interface ChainEntry {
  readonly head: SignedHead;
  readonly body: Uint8Array | undefined;
}

/** Counts and numbers of one shard at this store (3.2, 3.5). */
export interface ShardState {
  readonly shard: number;
  /** Ids that are held in it. */
  readonly held: number;
  /** The last seq up to which all hold bodies of the shard are here and applied. */
  readonly applied: number;
  readonly whole: number;
  readonly wanted: number;
  readonly lost: number;
  readonly unreadable: number;
}

/** What an owner's present card and the takeovers taken here say. */
export interface OwnerKeys {
  readonly agent: AgentId;
  /** The newest incarnation that a card names. */
  readonly incarnation: number;
  /** The log key of an incarnation; undefined where no card is known. */
  readonly signPublicKey: (incarnation: number) => Uint8Array | undefined;
}

/** A frozen end of a chain that is not on the trail (9.2). */
export interface Branch {
  readonly agent: AgentId;
  /** Its last entry. */
  readonly tip: Position;
  /** The last entry that it shares with the trail; undefined for none. */
  readonly base: Position | undefined;
}

/** Forms of one add entry, by their positions in its body, ascending. */
export interface FormsOfEntry {
  readonly seq: number;
  readonly positions: readonly number[];
  /** In the place of positions, where the store has no body of the entry but parts of a hold checkpoint. */
  readonly forms?: readonly Form[];
}

export interface Chains {
  readonly parts: ChainParts;
  agents(): readonly AgentId[];
  /** The end of the chain that is followed here. It is durable. */
  position(agent: AgentId): Position | undefined;
  /** The position at a seq of the trail; undefined beyond its ends. */
  positionAt(agent: AgentId, seq: number): Position | undefined;
  /** Whether the trail that is followed here has exactly this position. */
  isOnTrail(agent: AgentId, position: Position): boolean;
  /**
   * Entries after a seq and up to another one, in order. E_INTEGRITY names the file where one is damaged. With
   * `omitsDamagedBodies` a hold entry whose body is damaged comes without it, so that a reader elsewhere still gets
   * what follows. With `leavesGaps` entries that are damaged or not here are passed over: for a recovery, which takes
   * what is left.
   */
  entries(
    agent: AgentId,
    options?: {
      readonly afterSeq?: number;
      readonly untilSeq?: number;
      readonly omitsDamagedBodies?: boolean;
      readonly leavesGaps?: boolean;
    },
  ): AsyncIterable<ChainEntry>;
  /** Entries of a branch behind its base, in order, by the link of its tip. */
  branchEntries(agent: AgentId, tip: Link, options?: { readonly leavesGaps?: boolean }): AsyncIterable<ChainEntry>;
  body(agent: AgentId, seq: number): Promise<Uint8Array | undefined>;
  shards(agent: AgentId): readonly ShardState[];
  /**
   * Takes entries of another owner, in order, each behind the one before it, verified here (3.1, 3.2). Entries that are here already are passed over when
   * they are the same. Durable and applied when it resolves. E_FORK with proof, E_DENIED, E_INTEGRITY, E_ROLLBACK for an older incarnation beyond the base.
   */
  take(owner: OwnerKeys, entries: readonly ChainEntry[]): Promise<Position>;
  /** Takes bodies of hold entries whose headers are here. Durable and applied when it resolves. E_INTEGRITY for another digest; E_NO_SPACE by 3.3. */
  takeBodies(agent: AgentId, bodies: readonly { readonly seq: number; readonly body: Uint8Array }[]): Promise<void>;
  /** Seqs of a shard's hold entries whose bodies are not here, ascending. */
  missingBodies(agent: AgentId, shard: number, limit: number): readonly number[];
  /** First forms of held ids that are not satisfied, in order of their added seq (11.4). `afterSeq` pages. */
  unsatisfied(agent: AgentId, shard: number, afterSeq: number, entriesMax: number): readonly FormsOfEntry[];
  /** The list of 5.1: sorted by id; undefined above `idsMax`. */
  unsatisfiedList(
    agent: AgentId,
    shard: number,
    idsMax: number,
  ): readonly { readonly id: ChunkId; readonly reason: UnsatisfiedReason }[] | undefined;
  /** Forms of an add entry at the given positions; all of them when none are given. */
  forms(agent: AgentId, seq: number, positions?: readonly number[]): readonly Form[];
  /** Listed forms of each id in any shard of the owner; empty where it is not held. Positions match `ids`. */
  heldForms(agent: AgentId, ids: readonly ChunkId[]): readonly (readonly Form[])[];
  /** The shards in which each id is held, with its added seq; empty where it is not held. Positions match `ids`. */
  holdsOf(
    agent: AgentId,
    ids: readonly ChunkId[],
  ): readonly (readonly { readonly shard: number; readonly seq: number }[])[];
  /** 1 where the id is held in the shard. */
  isHeld(agent: AgentId, shard: number, ids: readonly ChunkId[]): Uint8Array;
  /** What the index has of each id in the shard: its added seq and its state; undefined where it has no row. Positions match `ids`. */
  heldAs(
    agent: AgentId,
    shard: number,
    ids: readonly ChunkId[],
  ): readonly ({ readonly seq: number; readonly state: HoldState } | undefined)[];
  branches(agent?: AgentId): readonly Branch[];
  /** Files or entries that could not be read, for findings: message, since. */
  problems(): readonly { readonly agent: AgentId; readonly message: string; readonly sinceNs: bigint }[];
}

/** A chain of another owner that was here up to a place that was acknowledged, and is not any more. */
export interface ShortChain {
  readonly agent: AgentId;
  /** The last entry here now. */
  readonly have: Position | undefined;
  readonly until: Omit<Position, 'link'>;
  readonly sinceNs: bigint;
}

/** Chunks that no store has any more (2.10). */
export interface GiveUp {
  /** The end of the own chain when snapshots were walked. */
  readonly walked: Position;
  readonly chunks: readonly GoneChunk[];
  /**
   * Looked at within the transaction that marks: false where the chunk came back, or a session relies on a snapshot
   * that reaches it.
   */
  readonly mayGo: (chunk: GoneChunk) => boolean;
  /** Within the turn, before anything is appended: folder rows pass for unchanged no more. */
  readonly voidRows: () => void;
}

export interface GoneChunk {
  readonly id: ChunkId;
  /** Every live snapshot whose reach has it. */
  readonly snapshots: readonly Link[];
  /**
   * A form that is added behind the release, in the same append: the chunk is here, and none of its four listed forms
   * can be had (2.11).
   */
  readonly again?: Form;
}

export interface GaveUp {
  /** The chain went on since the walk: newer snapshots are walked first. Nothing was appended. */
  readonly hasMoved: boolean;
  /** Chunks that are released now, or were held nowhere. */
  readonly chunks: readonly GoneChunk[];
  readonly snapshots: readonly Link[];
}

/** The own chain's single writer (2.4). */
export interface OwnChain {
  readonly agent: AgentId;
  /** Why nothing can be appended; undefined when it can. */
  readonly blocked: EdgeError | undefined;
  position(): Position | undefined;
  positionAt(seq: number): Position | undefined;
  /** The shard of a root; E_NOT_FOUND when settings have none yet. */
  shardOf(root: string): number | undefined;
  /**
   * Has forms held in the shard from the next durable moment on. Of an id that is held already nothing changes: with `listsFurther` a form that is not
   * listed is put behind the others, which is for a store that wants the chunk and cannot be sent a listed form (2.11). Resolves when the forms are in
   * the file or in memory (at most 4096), not when they are durable.
   */
  add(shard: number, forms: readonly Form[], options?: { readonly listsFurther?: boolean }): Promise<void>;
  /**
   * 1 where the id is held in the shard, or a form of it waits for its entry. In turn with adds and releases. By the
   * key
   * of the index (`HoldTable.hasKeys`): a check of this program, not of what the disk has.
   */
  holds(shard: number, ids: readonly ChunkId[]): Promise<Uint8Array>;
  /** Everything added so far is durable and applied to the index when it resolves. */
  sync(): Promise<void>;
  /** Appends a sealed record of the shard; it and everything before it is durable and applied when it resolves (2.1). The link is a snapshot's id. */
  append(body: RecordBody, shard?: number): Promise<Position>;
  /** One turn of 2.9: marks, appends and applies. Ids that are claimed or were added after the walk are skipped. Answers how many were released. */
  release(shard: number, ids: AsyncIterable<ChunkId> | Iterable<ChunkId>, walkedSeq: number): Promise<number>;
  /**
   * Makes a hold checkpoint of each shard that is due (1.7, 2.12). What was captured meanwhile stands behind it.
   * E_BUSY, E_NO_SPACE, E_IO.
   */
  makeCheckpoints(policy?: CheckpointPolicy, signal?: AbortSignal): Promise<readonly MadeCheckpoint[]>;
  /** Gives up chunks that no store has (2.10), in one turn and one append. */
  giveUp(input: GiveUp): Promise<GaveUp>;
  /** Appends in the clear: takeover, drop branch. */
  appendClear(kind: number, body: Uint8Array, shard?: number): Promise<Position>;
  link(seq: number): Link | undefined;
}
