/** All replication of one agent: one durable row a target, one pass at a time for each, and levels by what targets answered. */
import type { Position } from '../chain/position.ts';
import { EdgeError, type ErrorCode, toEdgeError } from '../core/errors.ts';
import type { RecordHash } from '../core/ids.ts';
import type { SnapshotRow, TargetId } from '../core/ports/index.ts';
import type { PeerDirectory } from '../core/ports/peer.ts';
import type { OwedIndex } from '../ports/beliefs.ts';
import type { Placed } from '../ports/placed.ts';
import type { Witnesses } from '../ports/witnesses.ts';
import { createAnswers, type PeerAnswer } from './answers.ts';
import { backoffMs, isFinal, nextTryNs } from './backoff.ts';
import { checkBucket } from './check-bucket.ts';
import { clonedStore } from './clones.ts';
import { type CoverageDeps, coveringTargets } from './coverage.ts';
import { type Durability, type DurabilityLevel, durabilityOf } from './durability.ts';
import { createPlaced } from './placed.ts';
import { questionHolder } from './question-holder.ts';
import { createReachMeets } from './reach-meets.ts';
import type { ReplicateReport } from './replicate-deps.ts';
import { type BucketDeps, type BucketTarget, replicateToBucket } from './replicate-to-bucket.ts';
import { replicateToPeer, wholeSeq } from './replicate-to-peer.ts';
import { createSharedPasses, type PassOutcome } from './shared-passes.ts';
import { planTargets, type ReplicationPolicy, type Target } from './targets.ts';
import { waitForLevel } from './wait-for-level.ts';
import { createWitnesses } from './witnesses.ts';

export interface ReplicatorDeps extends BucketDeps {
  readonly index: BucketDeps['index'] & { readonly owed: OwedIndex };
  readonly peers: PeerDirectory;
  readonly policy: () => ReplicationPolicy;
  readonly coldStores: () => readonly string[];
  /** The bucket behind a store's name; made when first needed. */
  readonly bucket: (target: Extract<Target, { type: 'bucket' }>) => Promise<BucketTarget>;
  /** The target was reached and brought up to date. */
  readonly onPassed?: (target: Target) => void;
}

/** A record that a level is asked for: a snapshot's. */
export interface RecordRef {
  readonly id: RecordHash;
}

export interface TargetStatus {
  readonly target: TargetId;
  readonly name: string;
  readonly site: string | undefined;
  readonly type: 'peer' | 'bucket';
  readonly scope: 'all' | 'meta';
  /** The newest own entry that it has, with all it reaches, by its newest answer. */
  readonly acknowledged: Position | undefined;
  /** Wall time of the question that the newest answer is to; undefined when it was never asked. */
  readonly askedNs: bigint | undefined;
  /** Of a holder: what it lacks, by its newest answer. */
  readonly lacks: { readonly wanted: number; readonly lost: number; readonly unreadable: number } | undefined;
  /**
   * Of a holder: ends of this agent's history that it keeps beside the chain, by its newest answer, and that are not
   * here.
   */
  readonly branchesThere: number;
  /** Two machines answered under this name. */
  readonly isCloned: boolean;
  /** Entries that it is owed; at least 1 while something is. */
  readonly pending: number;
  readonly owedSinceNs: bigint | undefined;
  readonly attempts: number;
  readonly nextTryNs: bigint | undefined;
  readonly lastError: string | undefined;
  /** The code of the last error, when waiting does not help against it. */
  readonly refusal: ErrorCode | undefined;
  readonly isRunning: boolean;
  /** Sealed bytes that the pass under way has brought there so far. */
  readonly bytesDone: number;
}

export interface Replicator {
  targets(): Target[];
  /** Owes the own chain, as it is now, to the given targets or to all. Durable when it returns. */
  owe(targets?: readonly TargetId[]): void;
  /** Called whenever something was owed. Answers a function that ends it. */
  onQueued(listener: () => void): () => void;
  /** One pass; a second call for a target that is being worked on waits for the same pass. Failures are noted and thrown. */
  run(target: Target, signal?: AbortSignal): Promise<ReplicateReport>;
  /** Targets with work that is due now. */
  due(): Target[];
  /** When the next owed work is due, in wall nanoseconds; undefined when nothing waits. */
  nextDueNs(): bigint | undefined;
  status(): TargetStatus[];
  /** Asks a holder anew what it has, without sending anything. Answers undefined for a bucket, which is asked by its passes. */
  ask(target: Target, signal?: AbortSignal): Promise<PeerAnswer | undefined>;
  /**
   * What was put into a bucket and is not there, in words, packs aside. With `notes` it counts for nothing then, and is
   * owed everything.
   */
  check(
    target: Extract<Target, { type: 'bucket' }>,
    options: { readonly notes: boolean },
    signal?: AbortSignal,
  ): Promise<readonly string[]>;
  /** What a snapshot of this agent has, by the newest answers: for people. Levels are acknowledged by `waitFor` alone. */
  durability(snapshot: SnapshotRow, signal?: AbortSignal): Promise<Durability>;
  /** Where chunks of the own chain lie, by the newest answers. */
  readonly placed: Placed;
  /** Asks stores for what a drop of own copies needs. */
  readonly witnesses: Witnesses;
  /**
   * Resolves with what is reached as soon as each record has the level, by answers to questions that were put after this call. E_NOT_ENOUGH_COPIES when
   * the time is over, or when every target that could help failed for good; what is owed stays owed.
   */
  waitFor(
    records: readonly RecordRef[],
    level: DurabilityLevel,
    options: { readonly timeoutMs: number; readonly signal?: AbortSignal },
  ): Promise<Durability>;
}

export function createReplicator(deps: ReplicatorDeps): Replicator {
  const answers = createAnswers(deps.index.beliefs, deps.sodium);
  const { chain, clock, self } = deps;
  // Passes note what they are told where status reads it.
  const index = { ...deps.index, beliefs: answers };
  const passes = createSharedPasses();
  const bytesDone = new Map<TargetId, number>();
  const listeners = new Set<() => void>();
  const coverage: CoverageDeps = {
    self,
    chains: deps.chains,
    answers,
    buckets: index.buckets,
    reachMeets: createReachMeets({
      get sources() {
        return deps.sources;
      },
      opener: deps.opener,
    }),
  };

  function targets(): Target[] {
    return planTargets({
      owner: self.agentId,
      members: deps.peers.members(),
      policy: deps.policy(),
      coldStores: deps.coldStores(),
    });
  }

  async function pass(target: Target, signal: AbortSignal): Promise<ReplicateReport> {
    const askedSeq = chain.position()?.seq ?? 0;
    const askedNs = clock.nowNs();
    try {
      const report = await replicate(target, signal);
      if (report.bucket !== undefined) {
        const { storeId, location } = report.bucket;
        answers.set(target.target, { kind: 'bucket', askedSeq, askedNs, position: report.position, storeId, location });
      }
      index.owed.passed(target.target, askedSeq);
      deps.onPassed?.(target);
      return report;
    } catch (error) {
      const known = toEdgeError(error);
      // By the own signal, not by the code: another store may say what it likes.
      if (!signal.aborted) noteFailure(target, known, askedSeq);
      throw known;
    } finally {
      bytesDone.delete(target.target);
    }
  }

  function noteFailure({ target }: Target, error: EdgeError, seq: number): void {
    const nowNs = clock.nowNs();
    const attempts = index.owed.row(target)?.attempts ?? 0;
    if (attempts === 0) index.owed.owe([target], seq, nowNs);
    const waitNs = BigInt(backoffMs(attempts, deps.random)) * 1_000_000n;
    index.owed.failed(target, `${error.code}: ${error.message}`, nowNs + waitNs);
  }

  async function replicate(target: Target, signal: AbortSignal): Promise<ReplicateReport> {
    const noted: BucketDeps = {
      ...deps,
      index,
      progress: (progress) => {
        bytesDone.set(target.target, progress.bytesDone ?? 0);
        deps.progress?.(progress);
      },
    };
    if (target.type === 'bucket') return replicateToBucket(await deps.bucket(target), noted, signal);
    return replicateToPeer(target.member, linkOf(target), noted, signal);
  }

  function linkOf({ member }: Extract<Target, { type: 'peer' }>) {
    const link = deps.peers.link(member.agent);
    if (link !== undefined) return link;
    throw new EdgeError('E_STORE', `no address of peer ${member.name} is known`, {
      hint: 'Add it under [[peers]], or let the peer set agent.listen and say hello.',
      retryable: true,
    });
  }

  function statusOf(target: Target): TargetStatus {
    const row = index.owed.row(target.target);
    const answer = target.type === 'peer' ? answers.ofPeer(target.member) : undefined;
    const belief = answers.get(target.target);
    const acknowledged = target.type === 'peer' ? positionOf(answer) : answers.ofBucket(target.target)?.position;
    const behind = (chain.position()?.seq ?? 0) - (acknowledged?.seq ?? 0);
    const refusal = row?.lastError?.split(':')[0];
    return {
      target: target.target,
      name: target.type === 'peer' ? target.member.name : target.store,
      site: target.type === 'peer' ? target.member.site : undefined,
      type: target.type,
      scope: target.type === 'peer' ? 'all' : target.scope,
      acknowledged,
      askedNs: belief?.askedNs,
      lacks: answer === undefined ? undefined : lacksOf(answer),
      branchesThere: branchesOnlyIn(answer),
      isCloned: clonedStore(target.target, index.kv) !== undefined,
      pending: row === undefined ? 0 : Math.max(1, behind),
      owedSinceNs: row?.sinceNs,
      attempts: row?.attempts ?? 0,
      nextTryNs: row === undefined ? undefined : nextTryNs(row, clock.nowNs()),
      lastError: row?.lastError,
      refusal: refusal !== undefined && isFinal(refusal) ? refusal : undefined,
      isRunning: passes.isRunning(target.target),
      bytesDone: bytesDone.get(target.target) ?? 0,
    };
  }

  function branchesOnlyIn(answer: PeerAnswer | undefined): number {
    const here = new Set(deps.chains.branches(self.agentId).map(({ tip }) => tip.link));
    return answer?.statement.branches.filter((link) => !here.has(link)).length ?? 0;
  }

  function positionOf(answer: PeerAnswer | undefined): Position | undefined {
    const position = answer?.statement.position;
    if (answer === undefined || position === undefined || !deps.chains.isOnTrail(self.agentId, position))
      return undefined;
    // A shard that began behind the answer is not owed in it.
    const hasAll = position.seq === chain.position()?.seq;
    const own = hasAll ? deps.chains.shards(self.agentId).map(({ shard }) => shard) : [];
    const seq = wholeSeq(answer.statement, own);
    return seq === 0 ? undefined : chain.positionAt(seq);
  }

  const run = (target: Target, signal?: AbortSignal): Promise<PassOutcome> =>
    passes.run(target.target, (shared) => pass(target, shared), signal);

  return {
    targets,
    owe(names = targets().map(({ target }) => target)) {
      index.owed.owe(names, chain.position()?.seq ?? 0, clock.nowNs());
      for (const listener of listeners) listener();
    },
    onQueued(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async run(target, signal) {
      const outcome = await run(target, signal);
      if (outcome.report === undefined) throw outcome.error;
      return outcome.report;
    },
    due() {
      const nowNs = clock.nowNs();
      const due = new Set(
        index.owed
          .rows()
          .filter((row) => nextTryNs(row, nowNs) <= nowNs)
          .map((row) => row.target),
      );
      return targets().filter(({ target }) => due.has(target) && !passes.isRunning(target));
    },
    nextDueNs() {
      const known = new Set(targets().map(({ target }) => target));
      const nowNs = clock.nowNs();
      const times = index.owed.rows().flatMap((row) => (known.has(row.target) ? [nextTryNs(row, nowNs)] : []));
      return times.reduce<bigint | undefined>(
        (next, one) => (next === undefined || one < next ? one : next),
        undefined,
      );
    },
    status: () => targets().map(statusOf),
    async ask(target, signal) {
      if (target.type === 'bucket') return undefined;
      const link = linkOf(target);
      await questionHolder(target.member, link, { ...deps, index }, signal);
      return answers.ofPeer(target.member);
    },
    async check(target, options, signal) {
      const missing = await checkBucket(await deps.bucket(target), options, { ...deps, index }, signal);
      if (options.notes && missing.length > 0) this.owe([target.target]);
      return missing;
    },
    durability: async (snapshot, signal) =>
      durabilityOf(
        deps.putBack.get() === undefined ? await coveringTargets(snapshot, targets(), coverage, signal) : [],
      ),
    // What was answered to a machine that was put back afterwards is void (docs/chain.md 2.7).
    placed: createPlaced({
      self,
      chains: deps.chains,
      answers,
      chunks: index.chunks,
      targets: () => (deps.putBack.get() === undefined ? targets() : []),
    }),
    witnesses: createWitnesses({
      replicate: () => ({ ...deps, index }),
      targets,
      linkOf,
      run,
      lastPass: passes.lastNumber,
    }),
    waitFor: (records, level, options) =>
      waitForLevel(records, level, options, {
        clock,
        random: deps.random,
        targets,
        run,
        lastPass: passes.lastNumber,
        snapshot: (id) => index.log.snapshot(id),
        covering: (snapshot, ranked, signal) => coveringTargets(snapshot, ranked, coverage, signal),
        lastErrorOf: (target) => statusOf(target).lastError,
      }),
  };
}

function lacksOf({ statement }: PeerAnswer): NonNullable<TargetStatus['lacks']> {
  const sums = { wanted: 0, lost: 0, unreadable: 0 };
  for (const shard of statement.shards) {
    sums.wanted += shard.wanted;
    sums.lost += shard.lost;
    sums.unreadable += shard.unreadable;
  }
  return sums;
}
