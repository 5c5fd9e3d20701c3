/** Time that this store has been running, over all its processes: what grace and "heard of within a day" are counted in. A clock that is set does not move it. */
import type { Clock } from '../core/clock.ts';
import { noteIfRoom } from '../core/full-disk.ts';
import type { KeyValue } from '../core/ports/index.ts';

export interface RunningTime {
  /** Nanoseconds, never less than before. It begins again with a new index: a grace is longer then, never shorter. */
  nowNs(): bigint;
  /**
   * Notes the time durably. What ran since the last note is lost by a kill, and on a full disk: a grace is longer then,
   * and reading goes on.
   */
  note(): void;
}

const KEY = 'running.ns';
/** A kill loses no more than this. */
const NOTE_EVERY_MS = 60_000;

export function createRunningTime(kv: KeyValue, clock: Clock): RunningTime {
  const before = BigInt(kv.get(KEY) ?? '0');
  const startMs = clock.monotonicMs();
  let notedMs = startMs;
  const nowNs = (): bigint => before + BigInt(Math.max(0, Math.round((clock.monotonicMs() - startMs) * 1e6)));
  const note = (): void => {
    notedMs = clock.monotonicMs();
    noteIfRoom(() => kv.set(KEY, String(nowNs())));
  };
  return {
    nowNs: () => {
      if (clock.monotonicMs() - notedMs >= NOTE_EVERY_MS) note();
      return nowNs();
    },
    note,
  };
}
