/**
 * The last step of `scrub --all --repair`: chunks that it found in no place are stored again from files, or given up
 * (docs/chain.md 2.10).
 */
import {
  type CaptureReport,
  type ChunkId,
  fetchFound,
  findReach,
  forgetCopies,
  formatTimeNs,
  fromHex,
  giveUp,
  isEdgeError,
  learnPacks,
  type ScrubReport,
  type SnapshotRow,
  type TreeReader,
  toEdgeError,
  toHex,
} from '@edgestore/engine';
import { captureRoot } from '../work/capture-root.ts';
import type { OperationContext } from './operation.ts';

export interface ScrubGivenUp {
  /** Chunks that no store had. They are held no more. */
  readonly chunks: number;
  /** Snapshots that reach them: listed and restorable by file, and never whole again. */
  readonly snapshots: readonly { readonly id: string; readonly root: string; readonly time: string }[];
  /** Chunks that files still had: they are stored again. */
  readonly stored_again: number;
  /** Why chunks that no place has were not given up. */
  readonly waits_for: readonly string[];
}

export const NOTHING_GIVEN_UP: ScrubGivenUp = { chunks: 0, snapshots: [], stored_again: 0, waits_for: [] };

/** A holder that is away holds this up no longer. */
const ASK_MS_MAX = 15_000;
const NAMED_MAX = 20;
/** Own holds that are not satisfied; beyond, only what snapshots reach is looked at. */
const LISTED_MAX = 65_536;

/**
 * After the repair of a scrub of everything. Nothing is appended before every store that may have the chunks has
 * answered in this job.
 */
export function giveUpLost(report: ScrubReport, reader: TreeReader, context: OperationContext): Promise<ScrubGivenUp> {
  return context.home.turns.run('give-up', () => new GiveUpJob(report, reader, context).run());
}

class GiveUpJob {
  readonly #report: ScrubReport;
  readonly #reader: TreeReader;
  readonly #context: OperationContext;

  constructor(report: ScrubReport, reader: TreeReader, context: OperationContext) {
    this.#report = report;
    this.#reader = reader;
    this.#context = context;
  }

  async run(): Promise<ScrubGivenUp> {
    // Those of earlier jobs, which a rebuild may have brought back.
    forgetCopies(
      [...this.#report.givenUp].map((hex) => fromHex(hex, 32)),
      this.#copies,
    );
    const missing = this.#missingNow(this.#candidates());
    if (missing.length === 0)
      return this.#report.unknown.chunks === 0
        ? NOTHING_GIVEN_UP
        : { ...NOTHING_GIVEN_UP, waits_for: this.#reasonsHere() };
    const reasons = [...this.#reasonsHere(), ...(await this.#reasonsElsewhere(missing))];
    if (reasons.length > 0) return { ...NOTHING_GIVEN_UP, waits_for: reasons };
    const again = await this.#captureAgain(missing);
    if (again.length > 0) return { ...NOTHING_GIVEN_UP, waits_for: again };
    const gone = this.#missingNow(missing);
    const given = await this.#giveUp(gone);
    return { ...given, stored_again: missing.length - gone.length };
  }

  get #engine() {
    return this.#context.home.engine;
  }

  get #copies() {
    const { chains, identity, index } = this.#engine;
    const isHeld = (id: ChunkId): boolean =>
      chains.holdsOf(identity.agentId, [id])[0]!.length > 0 || index.holds.isHeldByOthers(id);
    return { chunks: index.chunks, isHeld };
  }

  get #reach() {
    return { reader: this.#reader, givenUp: this.#report.givenUp, signal: this.#context.signal };
  }

  /**
   * What the own chain holds and this scrub found lost, or damaged without another copy, and what the own store noted
   * as lost.
   */
  #candidates(): ChunkId[] {
    const { lost, findings } = this.#report;
    const { chains, identity } = this.#engine;
    const damaged = findings.flatMap(({ chunk, repaired }) => (chunk === undefined || repaired ? [] : [toHex(chunk)]));
    // Below a page that is gone nothing is met by a walk, and after a rebuild no row tells of it.
    const noted = chains
      .shards(identity.agentId)
      .flatMap(({ shard }) =>
        (chains.unsatisfiedList(identity.agentId, shard, LISTED_MAX) ?? [])
          .filter(({ reason }) => reason === 'lost')
          .map(({ id }) => toHex(id)),
      );
    const ids = [...new Set([...lost.ids, ...damaged, ...noted])].map((hex) => fromHex(hex, 32));
    const holds = chains.holdsOf(identity.agentId, ids);
    return ids.filter((_, i) => holds[i]!.length > 0);
  }

  #missingNow(ids: readonly ChunkId[]): ChunkId[] {
    const copies = this.#engine.index.chunks.allCopies(ids);
    const { placed } = this.#context.home.replicator;
    const targets = placed.targetsOf(ids);
    return ids.filter(
      (_, i) =>
        targets[i]!.length === 0 && copies[i]!.every(({ marked }) => marked !== undefined && marked !== 'unreadable'),
    );
  }

  #reasonsHere(): string[] {
    const { lost, unknown, unread } = this.#report;
    const { index, chain } = this.#engine;
    const reasons = unread.map(({ label, message }) => `${label} could not be read: ${message}`);
    if (!lost.isComplete) reasons.push('so much is missing that the search ended early');
    if (unknown.chunks + unknown.unread > 0) reasons.push(`${unknown.places.join(', ')} could not be asked`);
    if (this.#context.home.putBack.get() !== undefined) reasons.push('this machine was put back or copied');
    if (chain.blocked !== undefined) reasons.push(chain.blocked.message);
    for (const { reason, store } of index.chunks.losses())
      if (reason === 'unreadable')
        reasons.push(`something in ${store === '' ? 'the local packs' : store} cannot be read now`);
    return reasons;
  }

  /** Every ranked holder and every bucket is asked now; a frame that one of them has is fetched instead. */
  async #reasonsElsewhere(ids: readonly ChunkId[]): Promise<string[]> {
    const { peers, replicator, stores } = this.#context.home;
    const { index, identity, clock, chain } = this.#engine;
    const { signal } = this.#context;
    const reasons: string[] = [];
    const asking = async (label: string, ask: (timed: AbortSignal) => Promise<void>): Promise<void> => {
      try {
        await ask(AbortSignal.any([signal, AbortSignal.timeout(ASK_MS_MAX)]));
      } catch (error) {
        signal.throwIfAborted();
        reasons.push(`${label} could not be asked: ${toEdgeError(error).message}`);
      }
    };
    for (const target of replicator.targets()) {
      if (target.type !== 'peer') continue;
      const { name, agent } = target.member;
      await asking(name, async (timed) => {
        await replicator.ask(target, timed);
        const found = await peers.link(agent)!.source.locate(ids, timed);
        if (found.some((one) => one?.marked === 'unreadable')) reasons.push(`${name} cannot read what it has now`);
      });
    }
    for (const { name, objects, packs, vault, requireIdentity } of stores.values()) {
      await asking(objects.label, async () => {
        await requireIdentity(signal);
        for await (const { incarnation, last } of vault.segments(identity.agentId, { signal }))
          if (incarnation > identity.incarnation || last > (chain.position()?.seq ?? 0)) {
            reasons.push(
              `${objects.label} has entries of this agent that are not here: this machine was put back or copied`,
            );
            return;
          }
        const learned = await learnPacks(
          { name, label: objects.label, packs, requireIdentity },
          identity.agentId,
          { index: index.chunks, nowNs: clock.nowNs() },
          signal,
        );
        for (const { message } of learned.damaged)
          reasons.push(`nobody knows what is in a pack of ${objects.label}: ${message}`);
      });
    }
    const problem = await fetchFound(ids, {
      reader: this.#reader,
      chunks: this.#engine.chunks,
      index: index.chunks,
      signal,
    });
    if (problem !== undefined) reasons.push(`a chunk could not be looked for everywhere: ${problem.message}`);
    return [...new Set(reasons)];
  }

  /**
   * First an add from the file, if it is still there: roots whose snapshots reach the chunks are captured. Answers what
   * could not be looked at.
   */
  async #captureAgain(ids: readonly ChunkId[]): Promise<string[]> {
    const { home, signal, warn } = this.#context;
    const { identity, index } = this.#engine;
    const snapshots = index.log.snapshots({ agent: identity.agentId });
    const names = new Set<string>();
    try {
      const reach = await findReach(snapshots, new Set(ids.map(toHex)), this.#reach);
      for (const { body } of reach.keys()) names.add(body.root);
    } catch (error) {
      signal.throwIfAborted();
      if (!isEdgeError(error)) throw error;
      return [error.message];
    }
    const reasons: string[] = [];
    for (const root of home.config.roots.filter(({ name }) => names.has(name))) {
      try {
        const captured = await captureRoot(root, 'rescan', { home, signal, warn });
        if (this.#leavesOut(captured)) reasons.push(`files of root ${root.name} that had them could not be read`);
      } catch (error) {
        signal.throwIfAborted();
        reasons.push(`root ${root.name} could not be captured: ${toEdgeError(error).message}`);
      }
    }
    return reasons;
  }

  /** A file that needs a missing chunk could not be read: it may still have it. */
  #leavesOut({ root, failures, failuresOmitted }: CaptureReport): boolean {
    if (failures.length + failuresOmitted === 0) return false;
    const { files, filesOmitted } = this.#report;
    if (filesOmitted + failuresOmitted > 0) return true;
    const touched = files.filter((file) => file.root === root).map(({ path }) => Buffer.from(path));
    return failures.some(({ path }) => touched.some((file) => isAtOrBelow(file, Buffer.from(path))));
  }

  async #giveUp(gone: readonly ChunkId[]): Promise<Omit<ScrubGivenUp, 'stored_again'>> {
    const { warn, home } = this.#context;
    const { identity, index, chain } = this.#engine;
    const given = await giveUp(
      {
        gone,
        announce: (snapshots, chunks) => {
          const code = 'W_GIVING_UP';
          if (snapshots.length > 0)
            warn({
              code,
              message: `${chunks} chunks are in no store, and are given up. Damaged for ever: ${named(snapshots)}`,
            });
        },
      },
      { identity, log: index.log, ...this.#copies, ...this.#reach, chain },
    );
    if (given.chunks.length > 0) {
      home.replicator.owe();
      home.running?.noteNewWork();
    }
    return {
      chunks: given.chunks.length,
      snapshots: given.snapshots.map(({ id, body }) => ({ id, root: body.root, time: formatTimeNs(body.timeNs) })),
      waits_for: given.chunks.length < gone.length ? ['a job that runs now relies on some of them'] : [],
    };
  }
}

function isAtOrBelow(path: Buffer, folder: Buffer): boolean {
  return path.equals(folder) || folder.length === 0 || path.indexOf(Buffer.concat([folder, Buffer.from('/')])) === 0;
}

function named(snapshots: readonly SnapshotRow[]): string {
  const names = snapshots
    .slice(0, NAMED_MAX)
    .map(({ id, body }) => `${id.slice(0, 8)} of ${body.root}, ${formatTimeNs(body.timeNs)}`);
  return `${names.join('; ')}${snapshots.length > NAMED_MAX ? `; and ${snapshots.length - NAMED_MAX} more` : ''}`;
}
