/** Waits until new snapshots are as safe as was asked, or until it is plain that they will not be in time. */
import {
  type CaptureReport,
  type DurabilityLevel,
  EdgeError,
  EXIT_BY_CODE,
  formatDurabilityLevel,
  isEdgeError,
  type TargetStatus,
} from '@edgestore/engine';
import { openedOf } from './opened.ts';
import type { OperationContext } from './operation.ts';

/** Every target that is missing has failed so often, and so long has passed: it is down, and whoever waits should know. */
const GIVE_UP_ATTEMPTS = 8;
const GIVE_UP_MS = 60_000;
/** Refused by all that are missing: nothing gets better by waiting, beyond the time of a try or two. */
const REFUSED_MS = 5000;
const LOOK_EVERY_MS = 500;
const NOT_ENOUGH = EXIT_BY_CODE.E_NOT_ENOUGH_COPIES;
/** Longer than anybody waits; a first sync over a thin line takes days. */
const FOREVER_MS = 365 * 86_400_000;

export async function waitForCopies(
  reports: readonly CaptureReport[],
  level: DurabilityLevel,
  context: OperationContext,
): Promise<{ readonly exitCode: number }> {
  const { engine, loaded, replicator } = openedOf(context);
  const records = reports.flatMap(({ snapshot }) => (snapshot === undefined ? [] : [{ id: snapshot }]));
  if (level.kind === 'local' || records.length === 0) return { exitCode: 0 };
  const storedBytes = reports.reduce((sum, { bytes }) => sum + bytes.stored, 0);
  const giveUp = new AbortController();
  const startMs = engine.clock.monotonicMs();
  const looking = setInterval(() => {
    const open = openTargets(replicator.status());
    const state = open
      .map(({ name, isRunning, lastError }) => `${name}: ${isRunning ? 'sending' : (lastError ?? 'waiting')}`)
      .join('; ');
    context.progress({
      phase: 'replicate',
      ...bytesOf(replicator.status(), storedBytes),
      detail: state === '' ? 'waiting' : state,
    });
    const isHopeless = open.length > 0 && open.every((target) => target.attempts >= GIVE_UP_ATTEMPTS);
    const isRefused = open.length > 0 && open.every((target) => target.refusal !== undefined && !target.isRunning);
    const waitedMs = engine.clock.monotonicMs() - startMs;
    if ((isHopeless && waitedMs > GIVE_UP_MS) || (isRefused && waitedMs > REFUSED_MS)) {
      giveUp.abort(new EdgeError('E_NOT_ENOUGH_COPIES', `no target answers; ${state}`));
    }
  }, LOOK_EVERY_MS);
  try {
    await replicator.waitFor(records, level, {
      timeoutMs: FOREVER_MS,
      signal: AbortSignal.any([context.signal, giveUp.signal]),
    });
    return { exitCode: 0 };
  } catch (error) {
    // The time of --timeout is the time to wait here: the snapshot is written, and what is missing is copies.
    const cause = context.signal.aborted ? context.signal.reason : giveUp.signal.aborted ? giveUp.signal.reason : error;
    if (!isEdgeError(cause, 'E_NOT_ENOUGH_COPIES', 'E_TIMEOUT')) throw cause;
    const why = cause.code === 'E_TIMEOUT' ? `${formatDurabilityLevel(level)} was not reached in time` : cause.message;
    const all = replicator.status().filter((target) => target.scope === 'all');
    const last = openTargets(all).find((target) => target.lastError !== undefined);
    const never = whyNever(level, all, Object.keys(loaded.config.stores));
    context.warn({
      code: 'W_NOT_ENOUGH_COPIES',
      message:
        never !== undefined
          ? `${formatDurabilityLevel(level)} cannot be reached: ${never}`
          : `${why}; the snapshot is stored here and stays queued${last === undefined || cause.code !== 'E_TIMEOUT' ? '' : ` (${last.name}: ${last.lastError})`}`,
    });
    return { exitCode: exitCodeOf(openTargets(replicator.status())) };
  } finally {
    clearInterval(looking);
  }
}

/** What the configuration lacks for a level, however long one waits; undefined when enough targets get everything. */
function whyNever(level: DurabilityLevel, all: readonly TargetStatus[], stores: readonly string[]): string | undefined {
  const here = 'The snapshot is stored here';
  if (all.length === 0 && level.kind !== 's3')
    return `there is nowhere to copy to. ${here}. Let a peer join (\`edgestore peer invite\`), or name a bucket as \`store\` of [replication.default]`;
  if (level.kind === 's3') {
    if (all.some(({ type }) => type === 'bucket')) return undefined;
    const key =
      stores.length === 0
        ? 'add one as [stores.<name>], and `store = "<name>"` to [replication.default]'
        : `add \`store = "${stores.length === 1 ? stores[0] : '<name>'}"\` to [replication.default] (configured: ${stores.join(', ')})`;
    return `no bucket is configured to receive everything. ${here}, and nothing is queued for a bucket. To send everything to one, ${key}`;
  }
  if (!('count' in level)) return undefined;
  const peers = all.filter(({ type }) => type === 'peer');
  const sites = new Set([...peers.map(({ site }) => site), ...all.filter(({ type }) => type === 'bucket')]);
  const [have, what] = level.kind === 'peers' ? [peers.length, 'peer(s)'] : [sites.size, 'site(s)'];
  if (have >= level.count) return undefined;
  return `everything goes to ${have} ${what} (${all.map(({ name }) => name).join(', ')}). ${here} and stays queued for these. Let another holder join (\`edgestore peer invite\`), or raise \`copies\` and \`sites\` of [replication.default]`;
}

/** Each target is owed what this sync stored; one that is owed more, from before, says so while it gets it. */
function bytesOf(status: readonly TargetStatus[], storedBytes: number): { bytesDone: number; bytesTotal: number } {
  const sums = { bytesDone: 0, bytesTotal: 0 };
  for (const { scope, pending, bytesDone } of status) {
    if (scope !== 'all') continue;
    const total = Math.max(storedBytes, bytesDone);
    sums.bytesTotal += total;
    sums.bytesDone += pending === 0 ? total : bytesDone;
  }
  return sums;
}

function openTargets(status: readonly TargetStatus[]): TargetStatus[] {
  return status.filter((target) => target.scope === 'all' && target.pending > 0);
}

/** When every target that is missing refused for one reason (another certificate, no such bucket), that reason's; else that there are not enough. */
function exitCodeOf(open: readonly TargetStatus[]): number {
  const [first] = open;
  if (first?.refusal === undefined || open.some((target) => target.refusal !== first.refusal)) return NOT_ENOUGH;
  return EXIT_BY_CODE[first.refusal];
}
