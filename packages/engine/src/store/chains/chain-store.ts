/** The chains on this disk as flows see them (ports/chains.ts): files that are the truth, and rows of the index that were made from them. */
import { EntryKind, isHoldKind, requireBody } from '../../chain/entry-head.ts';
import { decodeAdd, FORM_BYTES, type Form, formAt } from '../../chain/forms.ts';
import type { Position } from '../../chain/position.ts';
import type { UnsatisfiedReason } from '../../chain/statement.ts';
import { EdgeError, isEdgeError } from '../../core/errors.ts';
import type { AgentId, ChunkId } from '../../core/ids.ts';
import type { ChainRow, EntryRow, HoldState } from '../../ports/chain-index.ts';
import type { Branch, ChainEntry, Chains, FormsOfEntry, ShardState, ShortChain } from '../../ports/chains.ts';
import type { ChainParts } from '../../ports/checkpoints.ts';
import { applyWaiting } from './apply-entries.ts';
import { addBodiesFit } from './bodies-fit.ts';
import { chainParts } from './chain-parts.ts';
import { bodiesFile } from './chain-paths.ts';
import type { ChainsDeps } from './chains-deps.ts';
import { FollowedChain } from './followed-chain.ts';
import { isContradicted } from './join-shard.ts';
import { appendBodies, type LateBody, type PlacedBody } from './late-bodies.ts';
import { readBody, readEntry, readHead } from './read-entry.ts';
import { shortChains, shortMessage } from './short-chains.ts';
import { takeEntries } from './take-entries.ts';

const ROWS_AT_ONCE = 128;

/** What becomes of entries that cannot be read. */
type Damage = Pick<NonNullable<Parameters<Chains['entries']>[1]>, 'omitsDamagedBodies' | 'leavesGaps'>;

export class ChainStore implements Chains {
  readonly parts: ChainParts;
  readonly #deps: ChainsDeps;
  readonly #chains: Map<AgentId, FollowedChain>;

  constructor(deps: ChainsDeps, chains: Map<AgentId, FollowedChain>) {
    this.#deps = deps;
    this.#chains = chains;
    this.parts = chainParts((agent) => this.followed(agent));
  }

  /** The chain with its files, for its single writer. */
  followed(agent: AgentId): FollowedChain {
    let chain = this.#chains.get(agent);
    if (chain === undefined) {
      chain = new FollowedChain(agent, this.#deps, undefined, undefined);
      this.#chains.set(agent, chain);
    }
    return chain;
  }

  agents(): readonly AgentId[] {
    return this.#table
      .rows()
      .flatMap(({ agent, parent, position }) => (parent === undefined && position !== undefined ? [agent] : []));
  }

  position(agent: AgentId): Position | undefined {
    return this.#table.followed(agent)?.position;
  }

  positionAt(agent: AgentId, seq: number): Position | undefined {
    const row = this.#entry(agent, seq);
    return row === undefined ? undefined : { incarnation: row.incarnation, seq, link: row.link };
  }

  isOnTrail(agent: AgentId, position: Position): boolean {
    const known = this.positionAt(agent, position.seq);
    return known !== undefined && known.link === position.link && known.incarnation === position.incarnation;
  }

  async *entries(agent: AgentId, options: Parameters<Chains['entries']>[1] = {}): AsyncGenerator<ChainEntry> {
    const chain = this.#table.followed(agent);
    if (chain === undefined) return;
    yield* this.#read(chain, options.afterSeq ?? 0, options.untilSeq ?? Number.MAX_SAFE_INTEGER, options);
  }

  async *branchEntries(
    agent: AgentId,
    tip: string,
    options: Parameters<Chains['branchEntries']>[2] = {},
  ): AsyncGenerator<ChainEntry> {
    for (const row of this.#table.rows())
      if (row.agent === agent && row.parent !== undefined && row.position?.link === tip)
        yield* this.#read(row, row.baseSeq, Number.MAX_SAFE_INTEGER, options);
  }

  async body(agent: AgentId, seq: number): Promise<Uint8Array | undefined> {
    const row = this.#entry(agent, seq);
    return row === undefined
      ? undefined
      : this.#noting(row, () => readBody(row, readHead(row, this.#deps), this.#deps));
  }

  shards(agent: AgentId): readonly ShardState[] {
    const chain = this.#table.followed(agent);
    if (chain === undefined) return [];
    return this.#deps.index.holds.shards(chain.chain).map(({ shard, held, wanted, lost, unreadable }) => {
      const applied = this.#applied(chain, shard);
      const first = this.#deps.index.holds.firstUnsatisfied(chain.chain, shard);
      return {
        shard,
        held,
        applied,
        whole: Math.min(applied, (first ?? Number.MAX_SAFE_INTEGER) - 1),
        wanted,
        lost,
        unreadable,
      };
    });
  }

  take(owner: Parameters<Chains['take']>[0], entries: readonly ChainEntry[]): Promise<Position> {
    const chain = this.followed(owner.agent);
    return chain.turn(() => takeEntries(chain, owner, entries));
  }

  takeBodies(agent: AgentId, bodies: readonly LateBody[]): Promise<void> {
    const chain = this.followed(agent);
    return chain.turn(() => this.#takeBodies(chain, bodies));
  }

  missingBodies(agent: AgentId, shard: number, limit: number): readonly number[] {
    const chain = this.#table.followed(agent);
    if (chain === undefined) return [];
    return this.#table.missingBodies(chain.chain, shard, limit);
  }

  unsatisfied(agent: AgentId, shard: number, afterSeq: number, entriesMax: number): readonly FormsOfEntry[] {
    const chain = this.#table.followed(agent);
    if (chain === undefined) return [];
    const { holds } = this.#deps.index;
    const byEntry: { seq: number; positions: number[] }[] = [];
    for (const { seq, position } of holds.unsatisfied(chain.chain, shard, afterSeq, entriesMax)) {
      if (byEntry.at(-1)?.seq === seq) byEntry.at(-1)!.positions.push(position);
      else byEntry.push({ seq, positions: [position] });
    }
    // Rows of parts have no place in a body: their forms are named.
    const asOfSeq = holds.baseOf(chain.chain, shard);
    return byEntry.map(({ seq, positions }) =>
      seq > asOfSeq ? { seq, positions } : { seq, positions: [], forms: this.#rowForms(chain, shard, seq, positions) },
    );
  }

  unsatisfiedList(
    agent: AgentId,
    shard: number,
    idsMax: number,
  ): readonly { readonly id: ChunkId; readonly reason: UnsatisfiedReason }[] | undefined {
    const chain = this.#table.followed(agent);
    const counts = chain === undefined ? undefined : this.#deps.index.holds.shard(chain.chain, shard);
    if (chain === undefined || counts === undefined) return [];
    if (counts.wanted + counts.lost + counts.unreadable > idsMax) return undefined;
    const list: { id: ChunkId; reason: UnsatisfiedReason }[] = [];
    const rows = this.#deps.index.holds.unsatisfied(chain.chain, shard, 0, Number.MAX_SAFE_INTEGER);
    // Rows of one entry lie together: its body is read once.
    for (let from = 0; from < rows.length; ) {
      const { seq } = rows[from]!;
      let to = from;
      while (to < rows.length && rows[to]!.seq === seq) to++;
      const group = rows.slice(from, to);
      const positions = group.map(({ position }) => position);
      const isOfParts = seq <= this.#deps.index.holds.baseOf(chain.chain, shard);
      const forms = isOfParts ? this.#rowForms(chain, shard, seq, positions) : this.forms(agent, seq, positions);
      for (const [i, form] of forms.entries()) list.push({ id: form.id, reason: group[i]!.reason });
      from = to;
    }
    return list.sort((a, b) => Buffer.compare(a.id, b.id));
  }

  forms(agent: AgentId, seq: number, positions?: readonly number[]): readonly Form[] {
    const row = this.#entry(agent, seq);
    const place = row === undefined ? undefined : this.#table.placeOf(row);
    if (row === undefined || place === undefined || row.kind !== EntryKind.add) return [];
    const beyond = positions?.find((at) => (at + 1) * FORM_BYTES > place.bytes);
    if (beyond !== undefined) throw new EdgeError('E_NOT_FOUND', `entry ${seq} has no form ${beyond}`);
    if (positions !== undefined && positions.length <= 16)
      return positions.map((at) => formAt(this.#deps.bytes.read(place, at * FORM_BYTES, FORM_BYTES), 0));
    // Of many forms the whole body is read and compared with its header.
    const body = this.#noting(row, () => readBody(row, readHead(row, this.#deps), this.#deps));
    if (body === undefined) return [];
    return positions === undefined ? decodeAdd(body) : positions.map((at) => formAt(body, at));
  }

  heldForms(agent: AgentId, ids: readonly ChunkId[]): readonly (readonly Form[])[] {
    const chain = this.#table.followed(agent);
    if (chain === undefined) return ids.map(() => []);
    const ofShards = this.#formsOf(chain, ids).map(({ forms }) => forms);
    return ids.map((_, i) => ofShards.flatMap((forms) => forms[i]!.map(({ form }) => form)));
  }

  holdsOf(
    agent: AgentId,
    ids: readonly ChunkId[],
  ): readonly (readonly { readonly shard: number; readonly seq: number }[])[] {
    const chain = this.#table.followed(agent);
    if (chain === undefined) return ids.map(() => []);
    const ofShards = this.#formsOf(chain, ids);
    return ids.map((_, i) =>
      ofShards.flatMap(({ shard, forms }) => (forms[i]![0] === undefined ? [] : [{ shard, seq: forms[i]![0].seq }])),
    );
  }

  heldAs(
    agent: AgentId,
    shard: number,
    ids: readonly ChunkId[],
  ): readonly ({ readonly seq: number; readonly state: HoldState } | undefined)[] {
    const chain = this.#table.followed(agent);
    if (chain === undefined) return ids.map(() => undefined);
    const { holds } = this.#deps.index;
    const forms = holds.formsOfMany(chain.chain, shard, ids);
    return ids.map((id, i) => {
      const [first] = forms[i]!;
      const state = holds.stateOf(chain.chain, shard, id);
      return first === undefined || state === undefined ? undefined : { seq: first.seq, state };
    });
  }

  isHeld(agent: AgentId, shard: number, ids: readonly ChunkId[]): Uint8Array {
    const chain = this.#table.followed(agent);
    return chain === undefined ? new Uint8Array(ids.length) : this.#deps.index.holds.isHeld(chain.chain, shard, ids);
  }

  branches(agent?: AgentId): readonly Branch[] {
    return this.#table.rows().flatMap((row) => {
      if (row.parent === undefined || row.position === undefined) return [];
      if (agent !== undefined && row.agent !== agent) return [];
      const base = row.baseSeq === 0 ? undefined : this.#table.entry(row.chain, row.baseSeq);
      return [
        {
          agent: row.agent,
          tip: row.position,
          base: base === undefined ? undefined : { incarnation: base.incarnation, seq: base.seq, link: base.link },
        },
      ];
    });
  }

  problems(): readonly { readonly agent: AgentId; readonly message: string; readonly sinceNs: bigint }[] {
    const noted = this.#table
      .rows()
      .flatMap(({ chain, agent }) =>
        this.#table.damage(chain).map(({ message, notedNs }) => ({ agent, message, sinceNs: notedNs })),
      );
    // An end that is damaged or gone is met at each start, and lies in no range of entries that the index knows.
    const sinceNs = this.#deps.clock.nowNs();
    const blocked = [...this.#chains.values()].flatMap(({ agent, blocked: problem }) =>
      problem === undefined || noted.some((one) => one.agent === agent)
        ? []
        : [{ agent, message: problem.message, sinceNs }],
    );
    const short = this.short().map((one) => ({ agent: one.agent, message: shortMessage(one), sinceNs: one.sinceNs }));
    return [...noted, ...blocked, ...short];
  }

  /** Chains of others that lost entries which were acknowledged, until they are as far again. */
  short(): ShortChain[] {
    return shortChains(this.#deps.index);
  }

  async close(): Promise<void> {
    for (const chain of this.#chains.values()) await chain.close();
    this.#deps.bytes.forget();
  }

  get #table() {
    return this.#deps.index.chainTable;
  }

  #formsOf({ chain }: ChainRow, ids: readonly ChunkId[]) {
    const { holds } = this.#deps.index;
    return holds.shards(chain).map(({ shard }) => ({ shard, forms: holds.formsOfMany(chain, shard, ids) }));
  }

  #entry(agent: AgentId, seq: number): EntryRow | undefined {
    const chain = this.#table.followed(agent);
    return chain === undefined ? undefined : this.#table.entry(chain.chain, seq);
  }

  #rowForms({ chain, agent }: ChainRow, shard: number, seq: number, positions: readonly number[]): Form[] {
    return positions.map((position) => {
      const form = this.#deps.index.holds.formAt(chain, shard, seq, position);
      if (form !== undefined) return form;
      throw new EdgeError('E_INTEGRITY', `a part of a hold checkpoint of agent ${agent.slice(0, 8)} cannot be read`, {
        hint: 'Mend it with `edgestore scrub --all --repair`: the owner sends the part again.',
      });
    });
  }

  #applied(chain: ChainRow, shard: number): number {
    if (isContradicted(chain.chain, shard, this.#deps)) return 0;
    const [waiting] = this.#table.waiting(chain.chain, shard, 1);
    const untilSeq = waiting === undefined ? (chain.position?.seq ?? 0) : waiting.seq - 1;
    // The index still has rows of a damaged range, but nobody gets these entries from here. Of a hole nobody knows the shard.
    const [damaged] = this.#table.damage(chain.chain);
    return damaged === undefined ? untilSeq : Math.min(untilSeq, damaged.firstSeq - 1);
  }

  async *#read(chain: ChainRow, afterSeq: number, untilSeq: number, damage: Damage): AsyncGenerator<ChainEntry> {
    let expected = Math.max(afterSeq, chain.baseSeq) + 1;
    for (;;) {
      const rows = this.#table.entries(chain.chain, expected - 1, untilSeq, ROWS_AT_ONCE);
      if (rows.length === 0) return;
      for (const row of rows) {
        if (row.seq !== expected && damage.leavesGaps !== true) {
          throw new EdgeError(
            'E_INTEGRITY',
            `entries ${expected} to ${row.seq - 1} of agent ${chain.agent.slice(0, 8)} cannot be read here`,
            {
              context: { agent: chain.agent, first: expected, last: row.seq - 1 },
            },
          );
        }
        const entry = this.#entryOf(row, damage);
        if (entry !== undefined) yield entry;
        expected = row.seq + 1;
      }
    }
  }

  /**
   * A hold entry verifies without its body, so damage in the body alone need not end the reading. Undefined for a gap.
   */
  #entryOf(row: EntryRow, { omitsDamagedBodies = false, leavesGaps = false }: Damage): ChainEntry | undefined {
    try {
      return this.#noting(row, () => readEntry(row, this.#deps));
    } catch (error) {
      if (!isEdgeError(error, 'E_INTEGRITY')) throw error;
      if (omitsDamagedBodies && isHoldKind(row.kind)) return this.#headOf(row, leavesGaps);
      if (leavesGaps) return undefined;
      throw error;
    }
  }

  #headOf(row: EntryRow, leavesGaps: boolean): ChainEntry | undefined {
    try {
      return { head: readHead(row, this.#deps), body: undefined };
    } catch (error) {
      if (leavesGaps && isEdgeError(error, 'E_INTEGRITY')) return undefined;
      throw error;
    }
  }

  /** Damage that is met while reading is noted, so that every later look at the store tells it. */
  #noting<T>(row: EntryRow, read: () => T): T {
    try {
      return read();
    } catch (error) {
      if (isEdgeError(error, 'E_INTEGRITY')) {
        const notedNs = this.#deps.clock.nowNs();
        this.#table.noteDamage({
          chain: row.chain,
          firstSeq: row.seq,
          lastSeq: row.seq,
          message: error.message,
          notedNs,
        });
      }
      throw error;
    }
  }

  async #takeBodies(chain: FollowedChain, bodies: readonly LateBody[]): Promise<void> {
    await chain.recover();
    const row = chain.row;
    const wanted = new Map<string, LateBody[]>();
    const seqs: number[] = [];
    let hasAdd = false;
    for (const late of bodies) {
      const entry = row === undefined ? undefined : this.#table.entry(row.chain, late.seq);
      if (entry === undefined)
        throw new EdgeError('E_NOT_FOUND', `entry ${late.seq} of agent ${chain.agent.slice(0, 8)} is not here`);
      if (entry.bodyAt !== undefined) continue;
      requireBody(readHead(entry, this.#deps), late.body);
      hasAdd ||= entry.kind === EntryKind.add;
      const path = bodiesFile(chain.folder, entry);
      wanted.set(path, [...(wanted.get(path) ?? []), late]);
      seqs.push(late.seq);
    }
    if (row === undefined || seqs.length === 0) return;
    if (hasAdd && !(await addBodiesFit(chain)))
      throw new EdgeError('E_NO_SPACE', 'bodies of add entries wait: the free space is below half of the reserve', {
        retryable: true,
      });
    const placed: PlacedBody[] = [];
    for (const [path, some] of wanted) placed.push(...(await appendBodies(path, some)));
    this.#deps.index.transaction(() => {
      for (const { seq, at } of placed) {
        this.#table.setBody(row.chain, seq, at, true);
        this.#table.clearDamage(row.chain, seq, seq);
      }
    });
    for (const shard of this.#table.waitingShards(row.chain)) applyWaiting(row.chain, shard, 'wanted', this.#deps);
  }
}
