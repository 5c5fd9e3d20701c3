/**
 * One chain that is followed here, own or another's: its newest file, what was written but is not in the index yet, and one turn at a time. The index is
 * brought up to the file before anything is appended or acknowledged (docs/chain.md 2.5).
 */

import { positionOf } from '../../chain/entry-head.ts';
import { type Position, ZERO_LINK } from '../../chain/position.ts';
import type { UnsatisfiedReason } from '../../chain/statement.ts';
import type { EdgeError } from '../../core/errors.ts';
import { failpoint } from '../../core/failpoint.ts';
import type { AgentId } from '../../core/ids.ts';
import type { ChainRow } from '../../ports/chain-index.ts';
import type { ChainEntry } from '../../ports/chains.ts';
import { applyEntries } from './apply-entries.ts';
import { ChainFile, type FileEnd, type PlacedEntry } from './chain-file.ts';
import { chainFolder } from './chain-paths.ts';
import type { ChainsDeps } from './chains-deps.ts';
import { readChainEnd } from './read-chain-end.ts';

/** The own chain ends before the index: what was acknowledged is not in the file (docs/chain.md 2.5). */
export interface MissingTail {
  readonly have: Position | undefined;
  readonly until: Position;
}

export class FollowedChain {
  readonly agent: AgentId;
  readonly deps: ChainsDeps;
  /** Set while the own chain must not be appended to: its end is damaged or missing. */
  blocked: EdgeError | undefined;
  missingTail: MissingTail | undefined;
  #chain: number | undefined;
  #file: ChainFile;
  /** Written, durable or not, not in the index yet. */
  #unapplied: PlacedEntry[] = [];
  /** Entries are durable in the file, and the index did not take them. */
  #isBehind = false;
  #last: Promise<unknown> = Promise.resolve();

  constructor(agent: AgentId, deps: ChainsDeps, chain: number | undefined, end: FileEnd | undefined) {
    this.agent = agent;
    this.deps = deps;
    this.#chain = chain;
    this.#file = new ChainFile(chainFolder(deps.chainsDir, agent), end, deps.fileBytes);
  }

  get isOwn(): boolean {
    return this.agent === this.deps.self;
  }

  /** The row of the index; undefined before the first entry is applied. */
  get row(): ChainRow | undefined {
    return this.#chain === undefined ? undefined : this.deps.index.chainTable.row(this.#chain);
  }

  /** The last entry that is durable and applied. */
  get position(): Position | undefined {
    return this.row?.position;
  }

  /** The last entry written: behind it the next one goes. */
  get tail(): Position | undefined {
    const last = this.#unapplied.at(-1);
    return last === undefined ? this.position : positionOf(last.head);
  }

  get unapplied(): readonly PlacedEntry[] {
    return this.#unapplied;
  }

  get folder(): string {
    return this.#file.folder;
  }

  /** Runs when all earlier turns have ended. */
  turn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => {});
    return turn;
  }

  /** Writes entries that were verified. Within a turn. */
  async write(entries: readonly ChainEntry[]): Promise<void> {
    if (this.blocked !== undefined) throw this.blocked;
    this.#unapplied.push(...(await this.#file.write(entries)));
  }

  /** Everything written is durable, then in the index. Within a turn. */
  async settle(missing: UnsatisfiedReason = 'wanted'): Promise<void> {
    await this.#file.sync();
    const entries = this.#unapplied;
    this.#isBehind = entries.length > 0;
    failpoint('chain.durable');
    if (entries.length === 0) return;
    const chain = this.number();
    const dropped = applyEntries(chain, entries, missing, this.deps);
    this.#unapplied = [];
    this.#isBehind = false;
    failpoint('chain.applied');
    for (const branch of dropped) await this.deps.removeBranch(branch);
  }

  /**
   * Makes sure that what was written before is durable and applied. After a failure the file is read again and replaced as a whole: entries that are
   * whole in it stay, because others may know them. Answers whether it was.
   */
  async recover(): Promise<boolean> {
    const hadFailed = this.#file.failure !== undefined;
    if (hadFailed) {
      const last = this.#chain === undefined ? undefined : this.deps.index.chainTable.lastEntry(this.#chain);
      const entries: PlacedEntry[] = [];
      const input = {
        folder: this.folder,
        agent: this.agent,
        last,
        knowsAcknowledged: true,
        onEntries: (some: readonly PlacedEntry[]) => void entries.push(...some),
      };
      const found = await readChainEnd(input, this.deps);
      if (found.problem !== undefined) throw found.problem;
      await this.#file.replace(found.end, found.unwanted);
      this.deps.bytes.forget();
      this.#unapplied = entries;
    }
    if (this.#unapplied.length > 0 && (hadFailed || this.#isBehind)) await this.settle();
    return hadFailed;
  }

  /** The number of the chain, which is made with its first entry. */
  number(): number {
    this.#chain ??= this.deps.index.chainTable.add(this.agent, this.isOwn).chain;
    return this.#chain;
  }

  /** The files were changed beside this object: a branch was split off, or a range mended. */
  reopen(end: FileEnd | undefined): void {
    this.#file = new ChainFile(this.folder, end, this.deps.fileBytes);
    this.#unapplied = [];
    this.deps.bytes.forget();
  }

  /** Applies what the files have beyond the index, which is durable. Within a turn. */
  async catchUp(missing: UnsatisfiedReason = 'wanted'): Promise<void> {
    const last = this.#chain === undefined ? undefined : this.deps.index.chainTable.lastEntry(this.#chain);
    const onEntries = (entries: readonly PlacedEntry[]): void =>
      void applyEntries(this.number(), entries, missing, this.deps);
    // The index may have gone back to entries before some that were acknowledged.
    const input = { folder: this.folder, agent: this.agent, last, knowsAcknowledged: false, onEntries };
    const found = await readChainEnd(input, this.deps);
    if (found.problem !== undefined) throw found.problem;
    this.reopen(found.end);
  }

  async close(): Promise<void> {
    await this.#last;
    await this.#file.close();
  }
}

/** Whether an entry follows a position directly. */
export function follows(entry: ChainEntry, position: Position | undefined): boolean {
  const { seq, previous } = entry.head.header;
  return seq === (position?.seq ?? 0) + 1 && previous === (position?.link ?? ZERO_LINK);
}
