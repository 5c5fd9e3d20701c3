/**
 * What the index keeps of chains (docs/formats/index.md): which entries are here, where they lie in files, and which forms are held. The files are the
 * truth: these rows can be made again from them.
 */
import type { EntryKind } from '../chain/entry-head.ts';
import type { HeldForm as CheckpointForm, Form } from '../chain/forms.ts';
import type { Link, Position } from '../chain/position.ts';
import type { UnsatisfiedReason } from '../chain/statement.ts';
import type { AgentId, ChunkId } from '../core/ids.ts';
import type { KeyValue } from '../core/ports/index.ts';
import type { RecordBody } from '../log/record-body.ts';

/** A chain that is followed here, or a branch: a frozen end of one. */
export interface ChainRow {
  readonly chain: number;
  readonly agent: AgentId;
  readonly isOwn: boolean;
  /** Of a branch: the chain that has the entries up to `baseSeq`. */
  readonly parent: number | undefined;
  readonly baseSeq: number;
  /** The last entry applied; undefined before the first. */
  readonly position: Position | undefined;
}

export interface EntryRow {
  readonly chain: number;
  readonly seq: number;
  readonly incarnation: number;
  readonly kind: EntryKind;
  readonly shard: number;
  readonly link: Link;
  /** Of the chain file that has it: incarnation and seq of the file's first entry. */
  readonly fileIncarnation: number;
  readonly file: number;
  /** Where its item begins and ends in the file. */
  readonly offset: number;
  readonly itemEnd: number;
  readonly bodyBytes: number;
  /** Of its body, in the chain file or the file of late bodies; undefined while it is not here. */
  readonly bodyAt: number | undefined;
  readonly isLate: boolean;
  /** A hold entry that is not applied yet, because its body or an earlier one of its shard is not here. */
  readonly waits: boolean;
}

/** Where bytes of a body lie. */
export interface BodyPlace {
  readonly agent: AgentId;
  /** Tip of the branch whose folder has the file. */
  readonly branch: Link | undefined;
  readonly fileIncarnation: number;
  readonly file: number;
  readonly isLate: boolean;
  readonly at: number;
  readonly bytes: number;
}

/** Reads bytes of chain files without waiting, for look-ups inside a transaction. E_IO, E_INTEGRITY for a file that is too short. */
export interface BodyBytes {
  read(place: BodyPlace, from: number, bytes: number): Uint8Array;
  /** The 80 bytes of a form in a part of a hold checkpoint. */
  readPart(place: PartPlace): Uint8Array;
}

/** A row in a part of a hold checkpoint. */
export interface PartPlace {
  readonly agent: AgentId;
  readonly shard: number;
  readonly asOfSeq: number;
  /** The first byte of the ids in the part. */
  readonly byte: number;
  readonly row: number;
}

export interface DamageRow {
  readonly chain: number;
  readonly firstSeq: number;
  readonly lastSeq: number;
  readonly message: string;
  readonly notedNs: bigint;
}

export interface ChainTable {
  rows(): readonly ChainRow[];
  /** The chain of an agent that is followed here. */
  followed(agent: AgentId): ChainRow | undefined;
  row(chain: number): ChainRow;
  /** A new chain; with `branch` a frozen end of another one. */
  add(agent: AgentId, isOwn: boolean, branch?: { readonly parent: number; readonly baseSeq: number }): ChainRow;
  /** Puts the entry behind the position, which moves to it. */
  addEntry(entry: EntryRow): void;
  /** An entry on the way from the chain's first entry to its end; a branch shares those up to its base. */
  entry(chain: number, seq: number): EntryRow | undefined;
  /** Entries of this very chain in order. */
  entries(chain: number, afterSeq: number, untilSeq: number, limit: number): readonly EntryRow[];
  lastEntry(chain: number): EntryRow | undefined;
  takeovers(chain: number): readonly EntryRow[];
  setBody(chain: number, seq: number, at: number, isLate: boolean): void;
  /** The body is not readable any more. */
  dropBody(chain: number, seq: number): void;
  setWaits(chain: number, seq: number, waits: boolean): void;
  /** Has every hold entry of the chain wait, so that the hold state is made again. */
  makeAllWait(chain: number): void;
  waitingShards(chain: number): readonly number[];
  /** Hold entries of a shard that are not applied, in order. */
  waiting(chain: number, shard: number, limit: number): readonly EntryRow[];
  /** Of these, seqs of those whose bodies are not here. */
  missingBodies(chain: number, shard: number, limit: number): readonly number[];
  placeOf(entry: EntryRow): BodyPlace | undefined;
  /** Makes the entries after a seq a branch, with the shards, snapshots and marks of the chain as they are; the chain ends at the seq. Answers the branch. */
  split(
    chain: number,
    baseSeq: number,
    moved: (entry: EntryRow) => Pick<EntryRow, 'fileIncarnation' | 'file' | 'offset'>,
  ): ChainRow;
  /** Forgets the entries behind a seq, which is the chain's end then. Shards and marks are the caller's. */
  rewind(chain: number, seq: number): void;
  /** Forgets every row of the chain. */
  clear(chain: number): void;
  noteDamage(row: DamageRow): void;
  /** The range was mended, or read well. */
  clearDamage(chain: number, firstSeq: number, lastSeq: number): void;
  damage(chain: number): readonly DamageRow[];
  /** Hold checkpoints of a shard, the newest first. */
  checkpoints(chain: number, shard: number, limit: number): readonly EntryRow[];
  /** Bytes of bodies that are not here and are waited for, up to a seq. */
  missingBodyBytes(chain: number, shard: number, untilSeq: number): number;
  /** The shard's state is that after the seq: entries up to it wait for nothing, later ones are applied again. */
  passOver(chain: number, shard: number, untilSeq: number): void;
  /** Bytes of the bodies of a shard's adds and releases after a seq and up to another one, here or not. */
  bodyBytes(chain: number, shard: number, afterSeq: number, untilSeq: number): number;
}

/**
 * What was found of a hold checkpoint here: `unmade` is one that its owner did not write, because its parts and its
 * index differ.
 */
export type CheckpointVerdict = 'proved' | 'false' | 'taken' | 'unmade';

export interface CheckedCheckpoint {
  readonly chain: number;
  readonly shard: number;
  /** Of its entry; of one that was not made its as-of seq. */
  readonly seq: number;
  readonly verdict: CheckpointVerdict;
  readonly message: string;
  readonly notedNs: bigint;
}

/** One row a shard: of the newest checkpoint that was looked at. */
export interface CheckedCheckpoints {
  get(chain: number, shard: number): CheckedCheckpoint | undefined;
  set(checked: CheckedCheckpoint): void;
  all(): readonly CheckedCheckpoint[];
}

/** Where the index has a listed form: enough to compare it with parts. */
export interface HoldPlace {
  readonly key48: number;
  readonly seq: number;
  readonly position: number;
}

/** The row of a listed form, with the form. */
export interface HeldForm {
  readonly seq: number;
  readonly position: number;
  readonly form: Form;
}

export type HoldState = 'satisfied' | UnsatisfiedReason;

/** Why an id has no good frame, when its add is applied: one reason for all, or by the place of the row. */
export type MissingReason = UnsatisfiedReason | ((seq: number, position: number) => UnsatisfiedReason);

export interface ShardRow {
  readonly chain: number;
  readonly shard: number;
  readonly held: number;
  readonly wanted: number;
  readonly lost: number;
  readonly unreadable: number;
}

/** Rows of a shard that come from the parts of a hold checkpoint (8.1, 8.3). */
export interface PartHolds {
  /** Begins to put rows of parts beside the shard's state. What an earlier try left goes. */
  beginJoining(chain: number, shard: number, asOfSeq: number): void;
  /**
   * Rows of one part, sorted. `missing`: the state of an id that is new to the shard and that no good frame satisfies.
   */
  applyPart(
    chain: number,
    shard: number,
    byte: number,
    forms: readonly CheckpointForm[],
    missing: UnsatisfiedReason,
  ): void;
  /**
   * The rows of parts take the place of the shard's state. What was held and satisfied, and is not in them, is disputed
   * from now on.
   */
  switchToJoined(chain: number, shard: number): void;
  /** A checkpoint was proved: what it lacks is disputed no longer. */
  endDisputes(chain: number, shard: number): void;
  /** Ids whose dispute ended and whose frames nobody has looked at since. */
  endedDisputes(chain: number, limit: number): readonly ChunkId[];
  forgetDisputes(chain: number, ids: readonly ChunkId[]): void;
}

export interface HoldTable extends PartHolds {
  /** The form of a row; undefined where it cannot be read now. */
  formAt(chain: number, shard: number, seq: number, position: number): Form | undefined;
  shards(chain: number): readonly ShardRow[];
  shard(chain: number, shard: number): ShardRow | undefined;
  /** An entry names the shard: from now on it is among the chain's shards. */
  noteShard(chain: number, shard: number): void;
  /** Applies an add whose entry row and body are there. `missing`: the state of an id that no good frame satisfies. */
  applyAdd(chain: number, shard: number, seq: number, forms: readonly Form[], missing: MissingReason): void;
  /** Answers how many ids left. */
  applyRelease(chain: number, shard: number, ids: readonly ChunkId[]): number;
  /** Listed forms of an id in a shard, in the order in which they were added; empty where it is not held. */
  formsOf(chain: number, shard: number, id: ChunkId): readonly HeldForm[];
  /** As `formsOf`, of many ids at once; positions match `ids`. */
  formsOfMany(chain: number, shard: number, ids: readonly ChunkId[]): readonly (readonly HeldForm[])[];
  stateOf(chain: number, shard: number, id: ChunkId): HoldState | undefined;
  /** 1 where the id is held in the shard. */
  isHeld(chain: number, shard: number, ids: readonly ChunkId[]): Uint8Array;
  /**
   * 1 where the shard has a row with the key of the id, without a look at its form: by chance also for one id in 28
   * million that is not held, in a shard of ten million.
   */
  hasKeys(chain: number, shard: number, ids: readonly ChunkId[]): Uint8Array;
  /** The lowest added seq of an id that is not satisfied. */
  firstUnsatisfied(chain: number, shard: number): number | undefined;
  /** First rows of ids that are not satisfied, after a seq, of at most so many entries. Ascending. */
  unsatisfied(
    chain: number,
    shard: number,
    afterSeq: number,
    entriesMax: number,
  ): readonly { readonly seq: number; readonly position: number; readonly reason: UnsatisfiedReason }[];
  /** Whether a shard of another chain, or a branch, has a hold with this key: then the last copy stays. A chance collision keeps a copy longer. */
  isHeldByOthers(id: ChunkId): boolean;
  /** The as-of seq of the parts that rows of the shard lie in; 0 where all lie in bodies. */
  baseOf(chain: number, shard: number): number;
  /** Rows of the shard whose ids begin with the byte, sorted by key, seq and position. */
  rowsOfByte(chain: number, shard: number, byte: number): readonly HoldPlace[];
  /** Forgets the holds of one shard. */
  clear(chain: number, shard?: number): void;
}

/** The marks of a release's turn (docs/chain.md 2.9). */
export interface ReleaseTurn {
  /**
   * Marks the ids that are held in the shard, were added at or before the walk, and are claimed by no session, in one transaction. A look-up takes a marked
   * id for unknown.
   */
  mark(chain: number, shard: number, ids: readonly ChunkId[], walkedSeq: number): ChunkId[];
  /**
   * The same for chunks that are given up (2.10): each one for which `mayGo` holds, in every shard that holds it, or in
   * none. Answers their ids by shard, and which chunks are among them.
   */
  markGone(
    chain: number,
    ids: readonly ChunkId[],
    mayGo: (at: number) => boolean,
  ): { readonly byShard: ReadonlyMap<number, readonly ChunkId[]>; readonly marked: readonly number[] };
  /** Ends the marks: the release is applied, or was not appended. */
  clear(): void;
}

/** A record's place, as its entry has it. */
export interface RecordPlace {
  readonly chain: number;
  readonly incarnation: number;
  readonly seq: number;
  readonly shard: number;
  readonly link: Link;
}

export interface RecordTable {
  /** Applies a record whose entry row is there, within the same transaction. Records of a chain come in order. */
  applyRecord(place: RecordPlace, body: RecordBody): void;
  /** Forgets pins, forgotten snapshots and settings of a chain, so that its records can be applied again. */
  clearMarks(chain: number): void;
}

/** The part of the index that chain files are applied to. */
export interface ChainIndex {
  readonly chainTable: ChainTable;
  readonly holds: HoldTable;
  readonly log: RecordTable;
  readonly checked: CheckedCheckpoints;
  readonly kv: KeyValue;
  /** Makes several calls one transaction; within another one it is a part of that. */
  transaction<T>(work: () => T): T;
}
