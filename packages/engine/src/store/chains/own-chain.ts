/**
 * The own chain: the only place where its entries are numbered, sealed, signed, made durable and applied (docs/chain.md 2). Forms wait in memory until an
 * entry is full or something has to be durable; one fsync covers them and the record behind them.
 */
import { EntryKind, encodeEntry, placeAfter, positionOf } from '../../chain/entry-head.ts';
import {
  decodeAdd,
  encodeAdd,
  encodeRelease,
  FORMS_MAX,
  type Form,
  isSameForm,
  RELEASE_IDS_MAX,
} from '../../chain/forms.ts';
import type { Link, Position } from '../../chain/position.ts';
import { encodeRecordEntry } from '../../chain/record-entry.ts';
import { ChunkIdSet } from '../../core/chunk-id-set.ts';
import type { RandomBytes } from '../../core/clock.ts';
import { EdgeError } from '../../core/errors.ts';
import { failpoint } from '../../core/failpoint.ts';
import type { AgentId, ChunkId } from '../../core/ids.ts';
import type { AgentIdentity } from '../../keys/identity.ts';
import type { VaultKeys } from '../../keys/vault-keys.ts';
import type { RecordBody } from '../../log/record-body.ts';
import type { ChainRow, ReleaseTurn } from '../../ports/chain-index.ts';
import type { ChainEntry, GaveUp, GiveUp, OwnChain } from '../../ports/chains.ts';
import type { CheckpointPolicy, MadeCheckpoint } from '../../ports/checkpoints.ts';
import type { ChainsDeps } from './chains-deps.ts';
import type { FollowedChain, MissingTail } from './followed-chain.ts';
import { giveUpTurn } from './give-up-turn.ts';
import { type TailEntryOf, takeTail } from './missing-tail.ts';
import { lacksCheckpoint, makeCheckpoints } from './own-checkpoints.ts';

/** Entries that wait for the fsync of a record: bounds the forms that are kept in memory until they are applied. */
const UNAPPLIED_ENTRIES_MAX = 8;

export interface OwnChainDeps extends ChainsDeps {
  readonly keys: VaultKeys;
  readonly identity: Pick<AgentIdentity, 'agentId' | 'incarnation' | 'signSeed'>;
  readonly random: RandomBytes;
  /** The shard that the newest settings give a root. */
  readonly shardOf: (root: string) => number | undefined;
  readonly releases: ReleaseTurn;
}

export class OwnChainWriter implements OwnChain {
  readonly #chain: FollowedChain;
  readonly #deps: OwnChainDeps;
  /** Forms of a shard that wait for their entry. */
  readonly #waiting = new Map<number, Form[]>();
  /** Ids of a shard that wait, or are written and not in the index yet. */
  readonly #onTheWay = new Map<number, ChunkIdSet>();
  /** Bodies of adds that are written and not in the index yet. */
  #written: { readonly shard: number; readonly body: Uint8Array }[] = [];
  #making: Promise<unknown> = Promise.resolve();

  constructor(chain: FollowedChain, deps: OwnChainDeps) {
    this.#chain = chain;
    this.#deps = deps;
  }

  get agent(): AgentId {
    return this.#chain.agent;
  }

  get missingTail(): MissingTail | undefined {
    return this.#chain.missingTail;
  }

  get blocked(): EdgeError | undefined {
    return this.#chain.blocked;
  }

  position(): Position | undefined {
    return this.#chain.position;
  }

  positionAt(seq: number): Position | undefined {
    const row = this.#chain.row;
    const entry = row === undefined ? undefined : this.#deps.index.chainTable.entry(row.chain, seq);
    return entry === undefined ? undefined : { incarnation: entry.incarnation, seq, link: entry.link };
  }

  link = (seq: number): Link | undefined => this.positionAt(seq)?.link;

  shardOf(root: string): number | undefined {
    return this.#deps.shardOf(root);
  }

  add(shard: number, forms: readonly Form[], options: { readonly listsFurther?: boolean } = {}): Promise<void> {
    return this.#turn(async () => {
      const row = this.#chain.row;
      const { holds } = this.#deps.index;
      const ids = forms.map(({ id }) => id);
      const held = row === undefined ? new Uint8Array(forms.length) : holds.isHeld(row.chain, shard, ids);
      const onTheWay = this.#onTheWayOf(shard);
      for (const [i, form] of forms.entries()) {
        const isKnown = held[i] === 1 || onTheWay.has(form.id);
        if (isKnown && options.listsFurther !== true) continue;
        if (isKnown && this.#isOnTheWay(shard, form)) continue;
        if (held[i] === 1 && this.#isListed(row!.chain, shard, form)) continue;
        onTheWay.add(form.id);
        const waiting = this.#waiting.get(shard) ?? [];
        this.#waiting.set(shard, waiting);
        waiting.push(form);
        if (waiting.length >= FORMS_MAX) await this.#writeWaiting(shard);
      }
      if (this.#waitingForms >= FORMS_MAX) await this.#writeAllWaiting();
      if (this.#chain.unapplied.length >= UNAPPLIED_ENTRIES_MAX) await this.#settle();
    });
  }

  holds(shard: number, ids: readonly ChunkId[]): Promise<Uint8Array> {
    return this.#turn(async () => {
      const { row } = this.#chain;
      const none = new Uint8Array(ids.length);
      const held = row === undefined ? none : this.#deps.index.holds.hasKeys(row.chain, shard, ids);
      const onTheWay = this.#onTheWayOf(shard);
      for (const [i, id] of ids.entries()) if (onTheWay.has(id)) held[i] = 1;
      return held;
    });
  }

  sync(): Promise<void> {
    return this.#turn(() => this.#settleAll());
  }

  append(body: RecordBody, shard = 0): Promise<Position> {
    return this.#appending(() => this.#record(body, shard));
  }

  appendClear(kind: number, body: Uint8Array, shard = 0): Promise<Position> {
    return this.#appending(() => this.#clear(kind as EntryKind, shard, body));
  }

  /** An entry that was sealed and signed already; `make` gets the position that it stands behind. */
  appendMade(make: (before: Position | undefined) => ChainEntry): Promise<Position> {
    return this.#appending(() => make(this.#chain.tail));
  }

  /**
   * A claimed id, and one that was added after the walk, stays. The others are marked, so that a look-up takes them for unknown until the release is
   * applied; an add of a marked id waits for the end of this turn (2.9).
   */
  release(shard: number, ids: AsyncIterable<ChunkId> | Iterable<ChunkId>, walkedSeq: number): Promise<number> {
    return this.#turn(async () => {
      let released = 0;
      let page: ChunkId[] = [];
      const give = async (): Promise<void> => {
        released += await this.#releasePage(shard, page, walkedSeq);
        page = [];
      };
      for await (const id of ids) {
        page.push(id);
        if (page.length >= RELEASE_IDS_MAX) await give();
      }
      if (page.length > 0) await give();
      return released;
    });
  }

  /** One making at a time. Captures go on meanwhile. */
  makeCheckpoints(policy: CheckpointPolicy = {}, signal?: AbortSignal): Promise<readonly MadeCheckpoint[]> {
    const append = (kind: EntryKind, body: Uint8Array, shard: number) => this.appendClear(kind, body, shard);
    const making = this.#making.then(() => makeCheckpoints(this.#chain, append, policy, signal));
    this.#making = making.catch(() => {});
    return making;
  }

  giveUp(input: GiveUp): Promise<GaveUp> {
    return this.#turn(async () => {
      await this.#settleAll();
      const { row } = this.#chain;
      if (row?.position === undefined) return { hasMoved: true, chunks: [], snapshots: [] };
      for (const { shard } of this.#deps.index.holds.shards(row.chain)) this.#requireCheckpoint(row, shard);
      return await giveUpTurn(input, {
        releases: this.#deps.releases,
        chain: row.chain,
        position: row.position,
        make: {
          clear: (kind, shard, body) => this.#chain.write([this.#clear(kind, shard, body)]),
          record: (body) => this.#chain.write([this.#record(body, 0)]),
        },
        settle: () => this.#settle(),
      });
    });
  }

  /** The missing tail comes from other stores. Appending goes on when its last entry is there (2.5). */
  fillTail(entryOf: TailEntryOf): Promise<void> {
    return this.#chain.turn(() => takeTail(this.#chain, entryOf, { mayEndEarlier: false }));
  }

  /**
   * Every store was asked: what some store has comes from there, and behind that the index goes back to the file (2.5).
   */
  giveUpTail(entryOf: TailEntryOf): Promise<void> {
    return this.#chain.turn(() => takeTail(this.#chain, entryOf, { mayEndEarlier: true }));
  }

  #turn<T>(work: () => Promise<T>): Promise<T> {
    return this.#chain.turn(async () => {
      if (this.#chain.blocked !== undefined) throw this.#chain.blocked;
      const wasMended = await this.#chain.recover();
      this.#requireNewest();
      if (wasMended) await this.#addAgain();
      return await work();
    });
  }

  #appending(make: () => ChainEntry): Promise<Position> {
    return this.#turn(async () => {
      await this.#writeAllWaiting();
      const entry = make();
      await this.#chain.write([entry]);
      failpoint('chain.record-written');
      await this.#settle();
      return positionOf(entry.head);
    });
  }

  #requireCheckpoint(row: ChainRow, shard: number): void {
    if (!lacksCheckpoint(row, shard, this.#deps)) return;
    throw new EdgeError('E_BUSY', `shard ${shard} has no hold checkpoint since this agent was recovered`, {
      hint: 'The next sync makes it. Until then nothing of the shard is released.',
      retryable: true,
    });
  }

  async #releasePage(shard: number, ids: readonly ChunkId[], walkedSeq: number): Promise<number> {
    await this.#settleAll();
    const row = this.#chain.row;
    if (row === undefined) return 0;
    this.#requireCheckpoint(row, shard);
    const { releases } = this.#deps;
    const marked = releases.mark(row.chain, shard, ids, walkedSeq);
    try {
      failpoint('release.marked');
      if (marked.length === 0) return 0;
      await this.#chain.write([this.#clear(EntryKind.release, shard, encodeRelease(marked))]);
      await this.#settle();
      return marked.length;
    } finally {
      releases.clear();
    }
  }

  async #settleAll(): Promise<void> {
    await this.#writeAllWaiting();
    await this.#settle();
  }

  async #settle(): Promise<void> {
    await this.#chain.settle();
    this.#written = [];
    this.#onTheWay.clear();
    for (const [shard, forms] of this.#waiting) for (const { id } of forms) this.#onTheWayOf(shard).add(id);
  }

  get #waitingForms(): number {
    let forms = 0;
    for (const some of this.#waiting.values()) forms += some.length;
    return forms;
  }

  async #writeAllWaiting(): Promise<void> {
    for (const shard of this.#waiting.keys()) await this.#writeWaiting(shard);
  }

  async #writeWaiting(shard: number): Promise<void> {
    const forms = this.#waiting.get(shard) ?? [];
    if (forms.length === 0) return;
    this.#waiting.delete(shard);
    await this.#writeAdd(shard, forms);
  }

  async #writeAdd(shard: number, forms: readonly Form[]): Promise<void> {
    const body = encodeAdd(forms);
    this.#written.push({ shard, body });
    await this.#chain.write([this.#clear(EntryKind.add, shard, body)]);
  }

  /** Forms whose entry did not survive a failed write are added again: a capture relies on them. */
  async #addAgain(): Promise<void> {
    const row = this.#chain.row;
    const written = this.#written;
    this.#written = [];
    for (const { shard, body } of written) {
      const lost = decodeAdd(body).filter((form) => row === undefined || !this.#isListed(row.chain, shard, form));
      if (lost.length > 0) this.#waiting.set(shard, [...(this.#waiting.get(shard) ?? []), ...lost]);
    }
    for (const [shard, forms] of this.#waiting) {
      while (forms.length > FORMS_MAX) await this.#writeAdd(shard, forms.splice(0, FORMS_MAX));
    }
  }

  #onTheWayOf(shard: number): ChunkIdSet {
    let ids = this.#onTheWay.get(shard);
    if (ids === undefined) {
      ids = new ChunkIdSet();
      this.#onTheWay.set(shard, ids);
    }
    return ids;
  }

  /** Only looked at for further forms of what is held, which are few. */
  #isOnTheWay(shard: number, form: Form): boolean {
    const written = this.#written.filter((one) => one.shard === shard).flatMap(({ body }) => decodeAdd(body));
    return [...(this.#waiting.get(shard) ?? []), ...written].some((one) => isSameForm(one, form));
  }

  #isListed(chain: number, shard: number, form: Form): boolean {
    return this.#deps.index.holds.formsOf(chain, shard, form.id).some((one) => isSameForm(one.form, form));
  }

  #record(body: RecordBody, shard: number): ChainEntry {
    const { sodium, keys, identity, random } = this.#deps;
    const place = this.#place(EntryKind.record, shard, keys.currentKeyId);
    return encodeRecordEntry(sodium, { ...place, body, keys, signSeed: identity.signSeed, random24: random(24) });
  }

  #clear(kind: EntryKind, shard: number, body: Uint8Array): ChainEntry {
    const place = this.#place(kind, shard, 0);
    return encodeEntry(this.#deps.sodium, { ...place, body, signSeed: this.#deps.identity.signSeed });
  }

  #place(kind: EntryKind, shard: number, keyId: number) {
    const { vault, identity } = this.#deps;
    const { agentId: agent, incarnation } = identity;
    const tail = this.#chain.tail;
    if (kind !== EntryKind.takeover && tail !== undefined && tail.incarnation !== incarnation)
      throw new EdgeError('E_FAILED', `incarnation ${incarnation} does not begin with a takeover`);
    return placeAfter(tail, { vault, agent, incarnation }, { kind, shard, keyId });
  }

  #requireNewest(): void {
    const position = this.#chain.position;
    const { incarnation } = this.#deps.identity;
    if (position === undefined || position.incarnation <= incarnation) return;
    throw new EdgeError(
      'E_ROLLBACK',
      `this agent was taken over: its chain is at incarnation ${position.incarnation}, this machine is ${incarnation}`,
      {
        hint: 'Another machine was recovered in place of this one. Nothing was written; join the vault again as a new agent.',
      },
    );
  }
}
