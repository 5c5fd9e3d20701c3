/**
 * Brings the index up to the chain files when a data dir is opened (docs/chain.md 2.5): each file is made durable, what it has beyond the index is verified and
 * applied, and an index that is ahead of its file is a loss.
 */
import { open, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { UnsatisfiedReason } from '../../chain/statement.ts';
import { EdgeError, isEdgeError, toEdgeError } from '../../core/errors.ts';
import { failpoint } from '../../core/failpoint.ts';
import type { AgentId } from '../../core/ids.ts';
import type { ChainRow, EntryRow } from '../../ports/chain-index.ts';
import { readFolder } from '../data-dir.ts';
import { syncFolder } from '../durable-write.ts';
import { applyEntries, applyWaiting } from './apply-entries.ts';
import { finishSplit, openBranches } from './branches.ts';
import { copyRange, type FileEnd } from './chain-file.ts';
import { chainFile, chainFilesIn, chainFolder } from './chain-paths.ts';
import type { ChainsDeps } from './chains-deps.ts';
import { FollowedChain } from './followed-chain.ts';
import { joinFromFiles } from './join-shard.ts';
import { learnLateBodies } from './learn-late-bodies.ts';
import { DAMAGE_HINT, lookInFile, readChainEnd } from './read-chain-end.ts';
import { noteShort } from './short-chains.ts';
import { writeAgain } from './write-again.ts';

export interface OpenChainsReport {
  /** Entries that the index did not know. */
  readonly entries: number;
  /** Unfinished ends that were moved aside: no acknowledged entry was in them. */
  readonly moved: readonly { readonly path: string; readonly bytes: number }[];
  readonly problems: readonly EdgeError[];
}

export interface OpenedChains extends OpenChainsReport {
  readonly chains: Map<AgentId, FollowedChain>;
}

/** `isRebuilt`: the index was empty, so a frame that is missing was lost. `onlyReads`: on a full disk a chain stays as the index has it. */
export async function openFollowedChains(
  deps: ChainsDeps,
  isRebuilt: boolean,
  onlyReads = false,
): Promise<OpenedChains> {
  const { chainTable } = deps.index;
  const known = chainTable.rows().filter(({ parent }) => parent === undefined);
  const agents = new Set(known.map(({ agent }) => agent));
  for (const name of await readFolder(deps.chainsDir)) if (/^[0-9a-f]{32}$/.test(name)) agents.add(name);
  // What was stated before rests on an index that is gone.
  if (isRebuilt && agents.size > 0) deps.raiseEpoch();
  const report = { entries: 0, moved: [] as { path: string; bytes: number }[], problems: [] as EdgeError[] };
  const chains = new Map<AgentId, FollowedChain>();
  for (const agent of [...agents].sort()) {
    try {
      chains.set(agent, await new Opening(agent, deps, isRebuilt, report).open());
    } catch (error) {
      if (!onlyReads || isRebuilt || !isEdgeError(error, 'E_NO_SPACE')) throw error;
      const chain = new FollowedChain(agent, deps, deps.index.chainTable.followed(agent)?.chain, undefined);
      chain.blocked = error;
      chains.set(agent, chain);
      report.problems.push(error);
    }
  }
  return { ...report, chains };
}

class Opening {
  readonly #agent: AgentId;
  readonly #deps: ChainsDeps;
  readonly #missing: UnsatisfiedReason;
  readonly #report: Report;
  #knowsAcknowledged: boolean;

  constructor(agent: AgentId, deps: ChainsDeps, isRebuilt: boolean, report: Report) {
    this.#agent = agent;
    this.#deps = deps;
    this.#missing = isRebuilt ? 'lost' : 'wanted';
    this.#knowsAcknowledged = !isRebuilt;
    this.#report = report;
  }

  async open(): Promise<FollowedChain> {
    const { index } = this.#deps;
    const folder = chainFolder(this.#deps.chainsDir, this.#agent);
    await finishSplit(this.#agent, this.#deps);
    let row = index.chainTable.followed(this.#agent);
    const last = row === undefined ? undefined : index.chainTable.lastEntry(row.chain);
    const found = last === undefined ? 'whole' : await lookInFile(folder, last);
    // Other bytes in its place are damage of that entry alone: its link is known, so the chain goes on behind it.
    if (found === 'damaged') this.#noteDamage(last!, last!.seq, `entry ${last!.incarnation}/${last!.seq} is damaged`);
    if (last !== undefined && found === 'short') {
      // Others may have been told of what is not in the file any more.
      this.#deps.raiseEpoch();
      if (this.#agent === this.#deps.self) return await this.#openShort(row!, folder);
      noteShort(this.#agent, last, this.#deps.clock.nowNs(), index);
      // Branches are read again from their folders.
      for (const one of index.chainTable.rows()) if (one.agent === this.#agent) index.chainTable.clear(one.chain);
      this.#problem(
        `chain of agent ${this.#agent.slice(0, 8)}: its file ends before entry ${last.seq}, which was acknowledged`,
      );
      row = undefined;
      this.#knowsAcknowledged = false;
    }
    const chain = await this.#readOn(row, folder, row === undefined ? undefined : last);
    if (row === undefined || index.chainTable.waitingShards(row.chain).length > 0) await this.#applyRest(folder);
    await openBranches(this.#agent, this.#missing, this.#deps);
    return chain;
  }

  async #readOn(row: ChainRow | undefined, folder: string, last: EntryRow | undefined): Promise<FollowedChain> {
    const deps = this.#deps;
    await syncFiles(folder, last);
    failpoint('rebuild.chain-synced');
    let number = row?.chain;
    const found = await readChainEnd(
      {
        folder,
        agent: this.#agent,
        last,
        knowsAcknowledged: this.#knowsAcknowledged,
        onEntries: async (entries) => {
          number ??= deps.index.chainTable.add(this.#agent, this.#agent === deps.self).chain;
          const dropped = applyEntries(number, entries, this.#missing, deps);
          failpoint('rebuild.entries-applied');
          for (const branch of dropped) await deps.removeBranch(branch);
          this.#report.entries += entries.length;
        },
      },
      deps,
    );
    for (const { firstSeq, lastSeq, message } of found.damage)
      this.#noteDamage({ chain: number!, seq: firstSeq }, lastSeq, message);
    const chain = new FollowedChain(this.#agent, deps, number, found.end);
    if (found.problem !== undefined) {
      this.#report.problems.push(found.problem);
      // Behind the own chain's end something may have been acknowledged, so its numbers must not be used again. Another owner sends it once more.
      if (chain.isOwn) chain.blocked = found.problem;
      else if (found.rest !== undefined) await this.#cut(found.rest, found.end);
      if (!chain.isOwn) deps.raiseEpoch();
      return chain;
    }
    for (const name of found.unwanted) await unlinkFile(chainFile(folder, name));
    if (found.rest !== undefined && found.rest.to > found.rest.from) await this.#cut(found.rest, found.end);
    if (found.unwanted.length > 0) await syncFolder(folder);
    return chain;
  }

  /** The own chain's file ends before the index: nothing is appended until the rest came from other stores, or none has it (2.5). */
  async #openShort(row: ChainRow, folder: string): Promise<FollowedChain> {
    const have = await lastInFile(row.chain, folder, this.#deps);
    const chain = new FollowedChain(this.#agent, this.#deps, row.chain, undefined);
    const until = row.position!;
    chain.missingTail = { have: have === undefined ? undefined : { ...have }, until };
    const place = `${until.incarnation}/${until.seq}`;
    chain.blocked = new EdgeError(
      'E_ROLLBACK',
      `the own chain ends at entry ${have?.seq ?? 0}, but entry ${place} was acknowledged: its file was put back or lost its end`,
      {
        hint: 'Nothing was changed. Make a peer or the bucket reachable that has the rest (`edgestore scrub --repair`), or put the file back.',
        context: { have: have?.seq ?? 0, until: until.seq },
      },
    );
    this.#report.problems.push(chain.blocked);
    await openBranches(this.#agent, this.#missing, this.#deps);
    return chain;
  }

  /** After a rebuild: bodies that came late, then what waits for them. After a split that was cut off: what was not applied again. */
  async #applyRest(folder: string): Promise<void> {
    const { index } = this.#deps;
    const row = index.chainTable.followed(this.#agent);
    if (row === undefined) return;
    await learnLateBodies(row.chain, folder, this.#deps);
    for (const shard of index.chainTable.waitingShards(row.chain)) {
      applyWaiting(row.chain, shard, this.#missing, this.#deps);
      await joinFromFiles(row, shard, this.#missing, this.#deps);
    }
  }

  async #cut(
    rest: { readonly path: string; readonly from: number; readonly to: number },
    end: FileEnd | undefined,
  ): Promise<void> {
    if (end === undefined) return;
    const aside = `${rest.path}.torn-${rest.from}`;
    try {
      if (rest.to > rest.from) await copyRange(rest.path, aside, rest.from, rest.to);
      // The copy has its name before the bytes go.
      await syncFolder(dirname(aside));
      failpoint('chain.torn-kept');
      const file = await open(rest.path, 'r+');
      try {
        await file.truncate(rest.from);
        await file.sync();
      } finally {
        await file.close();
      }
    } catch (error) {
      throw toEdgeError(error, `cutting the unfinished end off ${rest.path}`);
    }
    failpoint('chain.torn-cut');
    this.#report.moved.push({ path: aside, bytes: rest.to - rest.from });
  }

  #noteDamage(first: Pick<EntryRow, 'chain' | 'seq'>, lastSeq: number, message: string): void {
    const { clock, index } = this.#deps;
    index.chainTable.noteDamage({ chain: first.chain, firstSeq: first.seq, lastSeq, message, notedNs: clock.nowNs() });
    this.#problem(message);
  }

  #problem(message: string): void {
    this.#report.problems.push(
      new EdgeError('E_INTEGRITY', message, { hint: DAMAGE_HINT, context: { agent: this.#agent } }),
    );
  }
}

interface Report {
  entries: number;
  moved: { path: string; bytes: number }[];
  problems: EdgeError[];
}

/** The last entry of the index that its file still has. */
async function lastInFile(chain: number, folder: string, deps: ChainsDeps): Promise<EntryRow | undefined> {
  const { chainTable } = deps.index;
  for (let seq = chainTable.lastEntry(chain)!.seq; seq > 0; seq--) {
    const row = chainTable.entry(chain, seq);
    if (row !== undefined && row.chain === chain && (await lookInFile(folder, row)) === 'whole') return row;
  }
  return undefined;
}

/** A tail that a kill left unsynced is made durable before anything counts on it. */
async function syncFiles(folder: string, last: EntryRow | undefined): Promise<void> {
  const names = chainFilesIn(await readFolder(folder)).filter(({ file }) => last === undefined || file >= last.file);
  if (names.length === 0) return;
  for (const name of names) {
    const isLast = last !== undefined && name.file === last.file;
    await writeAgain(chainFile(folder, name), isLast ? last.itemEnd : 0);
  }
  await syncFolder(folder);
}

async function unlinkFile(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    throw toEdgeError(error, `removing ${path}`);
  }
}
