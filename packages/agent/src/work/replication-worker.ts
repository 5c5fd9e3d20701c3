/** Works the replication queue: every target that is due, a few at a time, each with its own backoff. */
import { type EdgeError, type Target, toEdgeError } from '@edgestore/engine';
import type { AgentHome } from '../home/agent-home.ts';
import type { AgentMetrics } from '../metrics/agent-metrics.ts';
import type { AgentEvents } from './agent-events.ts';
import { type BackgroundWorker, startWorker } from './worker.ts';

/** Targets at once; more would share the same uplink. */
const TARGETS_AT_ONCE = 4;
/** New members and changed policies are looked for at least so often. */
const LOOK_MS_MAX = 30_000;

/** Each target is asked so often at least. */
const ASK_EVERY_NS = 3_600_000_000_000n;

/** Removed key slots are taken back from who was away so often at most. */
const WITHDRAW_MS_MIN = 60_000;

export function startReplicationWorker(deps: {
  readonly home: AgentHome;
  readonly events: AgentEvents;
  readonly metrics: AgentMetrics;
  readonly onError: (error: EdgeError, worker: string) => void;
}): { readonly worker: BackgroundWorker; stop(): Promise<void> } {
  const { home, events, metrics } = deps;
  const { replicator, engine } = home;
  const underWay = new Map<string, Promise<void>>();

  async function replicate(target: Target, signal: AbortSignal): Promise<void> {
    const name = target.type === 'peer' ? target.member.name : target.store;
    try {
      const report = await replicator.run(target, signal);
      metrics.replicated(name, 'ok', report.sentBytes);
      if (report.chunks > 0 || report.entries > 0)
        events.emit({
          type: 'replicated',
          target: name,
          chunks: report.chunks,
          bytes: report.bytes,
          sent: report.sentBytes,
          records: report.entries,
        });
    } catch (error) {
      if (signal.aborted) return;
      const known = toEdgeError(error);
      metrics.replicated(name, known.code, 0);
      events.emit({ type: 'replication_failed', target: name, code: known.code, message: known.message });
    }
  }

  let withdrawing: Promise<unknown> | undefined;
  let withdrawnMs = Number.NEGATIVE_INFINITY;

  /** Beside the passes: one member that is away must not hold the others up. */
  function withdraw(signal: AbortSignal): void {
    const nowMs = engine.clock.monotonicMs();
    if (withdrawing !== undefined || nowMs - withdrawnMs < WITHDRAW_MS_MIN) return;
    withdrawnMs = nowMs;
    withdrawing = home
      .withdrawSlots(signal)
      .catch((error: unknown) => {
        if (!signal.aborted) deps.onError(toEdgeError(error), 'replication');
      })
      .finally(() => {
        withdrawing = undefined;
      });
  }

  const worker = startWorker({
    name: 'replication',
    clock: engine.clock,
    onError: deps.onError,
    work: async (signal) => {
      oweToNewTargets(home);
      withdraw(signal);
      for (const target of replicator.due()) {
        if (underWay.size >= TARGETS_AT_ONCE) break;
        if (underWay.has(target.target)) continue;
        const work = replicate(target, signal).finally(() => {
          underWay.delete(target.target);
          worker.wake();
        });
        underWay.set(target.target, work);
      }
      const nextNs = replicator.nextDueNs();
      if (nextNs === undefined) return LOOK_MS_MAX;
      const waitMs = Number((nextNs - engine.clock.nowNs()) / 1_000_000n);
      // A target that is due and under way wakes the worker when it ends.
      return Math.min(LOOK_MS_MAX, waitMs <= 0 ? LOOK_MS_MAX : waitMs + 10);
    },
  });
  const forget = replicator.onQueued(() => worker.wake());
  return {
    worker,
    stop: async () => {
      forget();
      await worker.stop();
      await Promise.all([...underWay.values(), withdrawing]);
    },
  };
}

/**
 * What is owed but not noted: to a target that was not there when a snapshot was made (a new member, another policy, a rebuilt index), and records without a
 * snapshot of their own (pins, settings). A target that was not asked for long is asked again, so that its losses are known and it hears of its owner.
 */
export function oweToNewTargets(home: AgentHome): void {
  const { replicator, engine } = home;
  const end = engine.chain.position();
  if (end === undefined || home.putBack.get() !== undefined) return;
  const nowNs = engine.clock.nowNs();
  const owed = replicator.status().filter(({ acknowledged, askedNs, pending, isRunning }) => {
    if (pending > 0 || isRunning) return false;
    const isBehind = (acknowledged?.seq ?? 0) < end.seq;
    return isBehind || askedNs === undefined || nowNs - askedNs > ASK_EVERY_NS || askedNs > nowNs;
  });
  if (owed.length > 0) replicator.owe(owed.map(({ target }) => target));
}
