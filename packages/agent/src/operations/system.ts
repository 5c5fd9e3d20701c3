/** The real clock and the real chance, for the processes that people start. */
import { randomFillSync } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock, RandomBytes } from '@edgestore/engine';

export const systemRandom: RandomBytes = (length) => randomFillSync(new Uint8Array(length));

/** Wall time in steps of a millisecond: the runtime gives no finer one that follows changes of the clock. */
export const systemClock: Clock = {
  nowNs: () => BigInt(Date.now()) * 1_000_000n,
  monotonicMs: () => performance.now(),
  sleep: async (ms, signal) => {
    await sleep(ms, undefined, signal === undefined ? {} : { signal });
  },
};
