/** Waits until snapshots have a level, by passes that began after the call: an answer to an earlier question does not count. */
import type { Clock, RandomBytes } from '../core/clock.ts';
import { EdgeError } from '../core/errors.ts';
import type { SnapshotRow, TargetId } from '../core/ports/index.ts';
import { backoffMs, isFinal } from './backoff.ts';
import type { Covered } from './coverage.ts';
import { type Durability, type DurabilityLevel, durabilityOf, isReached, notEnoughCopies } from './durability.ts';
import type { RecordRef } from './replicator.ts';
import type { PassOutcome } from './shared-passes.ts';
import type { Target } from './targets.ts';

export interface WaitDeps {
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly targets: () => readonly Target[];
  readonly run: (target: Target, signal?: AbortSignal) => Promise<PassOutcome>;
  readonly lastPass: () => number;
  readonly snapshot: (id: string) => SnapshotRow | undefined;
  readonly covering: (
    snapshot: SnapshotRow,
    targets: readonly Target[],
    signal?: AbortSignal,
  ) => Promise<readonly Covered[]>;
  readonly lastErrorOf: (target: Target) => string | undefined;
}

/** While somebody waits at a terminal. */
const RETRY_MS_MAX = 5000;
/** The longest that a timer of Node takes: nobody waits 24 days. */
const TIMER_MS_MAX = 2 ** 31 - 1;

export async function waitForLevel(
  records: readonly RecordRef[],
  level: DurabilityLevel,
  options: { readonly timeoutMs: number; readonly signal?: AbortSignal },
  deps: WaitDeps,
): Promise<Durability> {
  if (level.kind === 'local') return durabilityOf([]);
  const begun = deps.lastPass();
  const fresh = new Set<TargetId>();
  const problems = new Map<TargetId, EdgeError>();
  const stop = new AbortController();
  const signal = options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal]);
  const targets = deps.targets();
  let changed = Promise.withResolvers<void>();
  let open = targets.length;
  const drivers = targets.map((target) =>
    drive(target).finally(() => {
      open--;
      changed.resolve();
    }),
  );

  /** Works on one target until a pass of after the call succeeds, or cannot; never rejects. */
  async function drive(target: Target): Promise<void> {
    for (let attempt = 0; !signal.aborted; attempt++) {
      try {
        const { number, error } = await deps.run(target, signal);
        // A pass that was under way asked before the call.
        if (number <= begun) continue;
        // What a failed pass was told is fresh all the same: a snapshot may be whole there although another one is not.
        fresh.add(target.target);
        if (error === undefined) problems.delete(target.target);
        else problems.set(target.target, error);
        changed.resolve();
        if (error === undefined || (isFinal(error.code) && !error.retryable)) return;
        await deps.clock.sleep(Math.min(RETRY_MS_MAX, backoffMs(attempt, deps.random)), signal);
      } catch (error) {
        if (signal.aborted) return;
        throw error;
      }
    }
  }

  /** The worst of all records; undefined while one of them has less than the level. */
  async function look(): Promise<{ readonly worst: Durability; readonly isDone: boolean }> {
    const ranked = targets.filter(({ target }) => fresh.has(target));
    let worst: Durability | undefined;
    let isDone = true;
    for (const { id } of records) {
      const snapshot = deps.snapshot(id);
      const has = durabilityOf(snapshot === undefined ? [] : await deps.covering(snapshot, ranked, options.signal));
      if (!isReached(level, has)) isDone = false;
      if (worst === undefined || has.sites + has.peers < worst.sites + worst.peers) worst = has;
    }
    return { worst: worst ?? durabilityOf([]), isDone };
  }

  const untilMs = deps.clock.monotonicMs() + options.timeoutMs;
  const late = deps.clock.sleep(Math.min(options.timeoutMs, TIMER_MS_MAX), signal).then(
    () => changed.resolve(),
    () => changed.resolve(),
  );
  try {
    for (;;) {
      options.signal?.throwIfAborted();
      const isOver = open === 0 || deps.clock.monotonicMs() >= untilMs;
      changed = Promise.withResolvers<void>();
      const { worst, isDone } = await look();
      if (isDone) return worst;
      if (isOver) throw notEnoughCopies(level, worst, problemsOf(targets, problems, deps));
      if (open === 0) continue;
      await changed.promise;
    }
  } finally {
    stop.abort(new EdgeError('E_INTERRUPTED', 'nobody waits for it any more'));
    await Promise.all([...drivers, late]);
  }
}

function problemsOf(
  targets: readonly Target[],
  seen: ReadonlyMap<TargetId, EdgeError>,
  { lastErrorOf }: WaitDeps,
): string[] {
  return targets.flatMap((target) => {
    const problem = seen.get(target.target)?.message ?? lastErrorOf(target);
    const name = target.type === 'peer' ? target.member.name : target.store;
    return problem === undefined ? [] : [`${name}: ${problem}`];
  });
}
