/** The machine's clock, for tests that run against real servers. */
import { setTimeout as after } from 'node:timers/promises';
import type { Clock } from '../core/clock.ts';

export const realClock: Clock = {
  nowNs: () => BigInt(Date.now()) * 1_000_000n,
  monotonicMs: () => performance.now(),
  sleep: (ms, signal) => after(ms, undefined, signal === undefined ? {} : { signal }),
};
