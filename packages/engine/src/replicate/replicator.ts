/** All replication of one agent: the durable queue, one pass at a time for each target, and waiting for a level. */
import type { RandomBytes } from '../core/clock.ts';
import { EdgeError, type ErrorCode, isEdgeError, toEdgeError } from '../core/errors.ts';
import type { RecordHash } from '../core/ids.ts';
import type { QueueIndex, TargetId } from '../core/ports/index.ts';
import type { PeerDirectory } from '../core/ports/peer.ts';
import type { Head } from '../log/record-body.ts';
import { acknowledgedHead } from './acknowledged.ts';
import { type Durability, type DurabilityLevel, durabilityOf, isReached, notEnoughCopies } from './durability.ts';
import type { ReplicateDeps, ReplicateReport } from './replicate-deps.ts';
import { type BucketTarget, replicateToBucket } from './replicate-to-bucket.ts';
import { replicateToPeer } from './replicate-to-peer.ts';
import { planTargets, type ReplicationPolicy, type Target } from './targets.ts';

export interface ReplicatorDeps extends ReplicateDeps {
  readonly random: RandomBytes;
  readonly index: ReplicateDeps['index'] & { readonly queue: QueueIndex };
  readonly peers: PeerDirectory;
  readonly policy: () => ReplicationPolicy;
  readonly coldStores: () => readonly string[];
  /** The bucket behind a store's name; made when first needed. */
  readonly bucket: (target: Extract<Target, { type: 'bucket' }>) => Promise<BucketTarget>;
  /** The target was reached and brought up to date. */
  readonly onPassed?: (target: Target) => void;
}

/** A record that a level is asked for: usually a snapshot's. */
export interface RecordRef {
  readonly id: RecordHash;
  readonly incarnation: number;
  readonly seq: number;
}

export interface TargetStatus {
  readonly target: TargetId;
  readonly name: string;
  readonly site: string | undefined;
  readonly type: 'peer' | 'bucket';
  readonly scope: 'all' | 'meta';
  /** The newest record that it has, with all it reaches. */
  readonly acknowledged: Head | undefined;
  readonly pending: number;
  readonly attempts: number;
  readonly nextTryNs: bigint | undefined;
  readonly lastError: string | undefined;
  /** The code of the last error, when waiting does not help against it. */
  readonly refusal: ErrorCode | undefined;
  readonly isRunning: boolean;
  /** Sealed bytes that the pass under way has brought there so far, or found there. */
  readonly bytesDone: number;
}

export interface Replicator {
  targets(): Target[];
  /** Owes the record to every target, durably. */
  enqueue(record: RecordRef): void;
  /** Called whenever something was queued. Answers a function that ends it. */
  onQueued(listener: () => void): () => void;
  /** One pass; a second call for a target that is being worked on waits for the same pass. Failures are noted in the queue and thrown. */
  run(target: Target, signal?: AbortSignal): Promise<ReplicateReport>;
  /** Targets with work that is due now. */
  due(): Target[];
  /** Monotonic-clock-free: when the next queued work is due, in wall nanoseconds; undefined when nothing waits. */
  nextDueNs(): bigint | undefined;
  status(): TargetStatus[];
  durability(record: Pick<Head, 'incarnation' | 'seq'>): Durability;
  /**
   * Resolves with what is reached as soon as each record has the level. Drives the targets itself unless workers do. E_NOT_ENOUGH_COPIES when the
   * time is over, or when every target that could help failed for good; what is queued stays queued.
   */
  waitFor(
    records: readonly RecordRef[],
    level: DurabilityLevel,
    options: { readonly timeoutMs: number; readonly signal?: AbortSignal; readonly drive: boolean },
  ): Promise<Durability>;
}

/** Between tries of one target: doubled from the first to the second, with jitter, so that a thousand edges do not come back at once (P7). */
export const RETRY_MS_MIN = 1000;
export const RETRY_MS_MAX = 5 * 60_000;
/** While somebody waits at a terminal. */
const DRIVE_RETRY_MS_MAX = 5000;
const POLL_MS = 100;
/** Waiting does not help against these. */
const FINAL = [
  'E_DENIED',
  'E_ROLLBACK',
  'E_FORK',
  'E_NEWER_FORMAT',
  'E_NO_BUCKET',
  'E_INTEGRITY',
  'E_USAGE',
  'E_CONFIG',
] as const;

export function createReplicator(deps: ReplicatorDeps): Replicator {
  const running = new Map<TargetId, Promise<ReplicateReport>>();
  const bytesDone = new Map<TargetId, number>();
  const listeners = new Set<() => void>();

  function targets(): Target[] {
    return planTargets({
      owner: deps.self.agentId,
      members: deps.peers.members(),
      policy: deps.policy(),
      coldStores: deps.coldStores(),
    });
  }

  async function pass(target: Target, signal: AbortSignal | undefined): Promise<ReplicateReport> {
    const rows = deps.index.queue.pending(target.target);
    try {
      const report = await replicate(target, signal);
      for (const row of rows) deps.index.queue.done(row.row);
      deps.onPassed?.(target);
      return report;
    } catch (error) {
      const known = toEdgeError(error);
      if (known.code !== 'E_INTERRUPTED') {
        for (const row of rows) {
          deps.index.queue.failed(
            row.row,
            `${known.code}: ${known.message}`,
            deps.clock.nowNs() + BigInt(backoffMs(row.attempts, deps.random)) * 1_000_000n,
          );
        }
      }
      throw known;
    }
  }

  async function replicate(target: Target, signal: AbortSignal | undefined): Promise<ReplicateReport> {
    const noted: ReplicateDeps = {
      ...deps,
      progress: (progress) => {
        bytesDone.set(target.target, progress.bytesDone ?? 0);
        deps.progress?.(progress);
      },
    };
    if (target.type === 'bucket') return replicateToBucket(await deps.bucket(target), noted, signal);
    const link = deps.peers.link(target.member.agent);
    if (link === undefined) {
      throw new EdgeError('E_STORE', `no address of peer ${target.member.name} is known`, {
        hint: 'Add it under [[peers]], or let the peer set agent.listen and say hello.',
        retryable: true,
      });
    }
    return replicateToPeer(target.member, link, noted, signal);
  }

  const replicator: Replicator = {
    targets,
    enqueue(record) {
      for (const { target } of targets()) deps.index.queue.enqueue(target, { snapshot: record.id, seq: record.seq });
      for (const listener of listeners) listener();
    },
    onQueued(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    run(target, signal) {
      const known = running.get(target.target);
      if (known !== undefined) return known;
      const work = pass(target, signal).finally(() => {
        running.delete(target.target);
        bytesDone.delete(target.target);
      });
      running.set(target.target, work);
      return work;
    },
    due() {
      const nowNs = deps.clock.nowNs();
      return targets().filter(
        ({ target }) => !running.has(target) && deps.index.queue.due(target, nowNs, 1).length > 0,
      );
    },
    nextDueNs() {
      const known = new Set(targets().map(({ target }) => target));
      let next: bigint | undefined;
      for (const row of deps.index.queue.pending()) {
        if (known.has(row.target) && (next === undefined || row.nextTryNs < next)) next = row.nextTryNs;
      }
      return next;
    },
    status() {
      return targets().map((target) => {
        const rows = deps.index.queue.pending(target.target);
        const worst = rows.reduce((a, b) => (a === undefined || b.attempts > a.attempts ? b : a), rows[0]);
        return {
          target: target.target,
          name: target.type === 'peer' ? target.member.name : target.store,
          site: target.type === 'peer' ? target.member.site : undefined,
          type: target.type,
          scope: target.type === 'peer' ? 'all' : target.scope,
          acknowledged: acknowledgedHead(deps.index.kv, target.target),
          pending: rows.length,
          attempts: worst?.attempts ?? 0,
          nextTryNs: worst?.nextTryNs,
          lastError: worst?.lastError,
          refusal: FINAL.find((code) => worst?.lastError?.startsWith(`${code}: `)),
          isRunning: running.has(target.target),
          bytesDone: bytesDone.get(target.target) ?? 0,
        };
      });
    },
    durability(record) {
      const stores = targets().flatMap((target) =>
        target.type === 'bucket' && target.scope === 'all' ? [target.store] : [],
      );
      return durabilityOf(record, { members: deps.peers.members(), stores, kv: deps.index.kv });
    },
    async waitFor(records, level, options) {
      const problems = new Map<TargetId, EdgeError>();
      const stop = new AbortController();
      const signal = options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal]);
      const least = (): Durability => worstOf(records.map((record) => replicator.durability(record)));
      const isDone = (): boolean => records.every((record) => isReached(level, replicator.durability(record)));
      const drivers = options.drive && !isDone() ? targets().map((target) => drive(target, problems, signal)) : [];
      const untilMs = deps.clock.monotonicMs() + options.timeoutMs;
      let finished = 0;
      for (const driver of drivers) void driver.then(() => finished++);
      try {
        while (!isDone()) {
          options.signal?.throwIfAborted();
          const isHopeless = options.drive && finished === drivers.length && !isDone();
          if (isHopeless || deps.clock.monotonicMs() >= untilMs) {
            throw notEnoughCopies(level, least(), problemsOf(problems, replicator.status()));
          }
          await deps.clock.sleep(POLL_MS, options.signal);
        }
        return least();
      } finally {
        stop.abort(new EdgeError('E_INTERRUPTED', 'nobody waits for it any more'));
        await Promise.all(drivers);
      }
    },
  };

  /** Works on one target until a pass succeeds or cannot; never rejects. */
  async function drive(target: Target, problems: Map<TargetId, EdgeError>, signal: AbortSignal): Promise<void> {
    for (let attempt = 0; !signal.aborted; attempt++) {
      try {
        await replicator.run(target, signal);
        problems.delete(target.target);
        return;
      } catch (error) {
        const known = toEdgeError(error);
        if (signal.aborted) return;
        problems.set(target.target, known);
        if (isEdgeError(known, ...FINAL) && !known.retryable) return;
      }
      try {
        await deps.clock.sleep(Math.min(DRIVE_RETRY_MS_MAX, backoffMs(attempt, deps.random)), signal);
      } catch (error) {
        if (signal.aborted) return;
        throw error;
      }
    }
  }

  return replicator;
}

/** Full jitter over the upper half, so that it never comes back at once. */
function backoffMs(attempts: number, random: RandomBytes): number {
  const most = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** Math.min(attempts, 20));
  const bytes = random(2);
  return Math.round(most / 2 + (most / 2) * ((bytes[0]! * 256 + bytes[1]!) / 65_536));
}

function worstOf(all: readonly Durability[]): Durability {
  return all.reduce(
    (a, b) => (b.sites.length + b.peers.length < a.sites.length + a.peers.length ? b : a),
    all[0] ?? { peers: [], stores: [], sites: [] },
  );
}

function problemsOf(seen: ReadonlyMap<TargetId, EdgeError>, status: readonly TargetStatus[]): string[] {
  return status.flatMap((one) => {
    const problem = seen.get(one.target)?.message ?? one.lastError;
    return problem === undefined ? [] : [`${one.name}: ${problem}`];
  });
}
