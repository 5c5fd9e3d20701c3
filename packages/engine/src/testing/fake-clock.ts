/** A clock that stands still until a test moves it. */
import type { Clock } from '../core/clock.ts';

export interface FakeClock extends Clock {
  /** Moves wall and monotonic time, waking sleepers in the order of their times. Lets their continuations run in between. */
  advance(ms: number): Promise<void>;
  /** Jumps the wall clock alone, as an operator or a bad time server does. */
  jumpWall(ms: number): void;
  /** How many sleeps are under way. */
  readonly sleepers: number;
}

export function createFakeClock(startNs = 1_700_000_000_000_000_000n): FakeClock {
  let wallNs = startNs;
  let monotonicMs = 0;
  const sleeping = new Set<{ readonly atMs: number; readonly wake: () => void }>();

  return {
    nowNs: () => wallNs,
    monotonicMs: () => monotonicMs,
    get sleepers() {
      return sleeping.size;
    },
    sleep(ms, signal) {
      return new Promise((resolve, reject) => {
        if (signal?.aborted === true) {
          reject(signal.reason);
          return;
        }
        const sleeper = {
          atMs: monotonicMs + ms,
          wake: () => {
            signal?.removeEventListener('abort', onAbort);
            resolve();
          },
        };
        const onAbort = () => {
          sleeping.delete(sleeper);
          reject(signal?.reason);
        };
        signal?.addEventListener('abort', onAbort, { once: true });
        sleeping.add(sleeper);
      });
    },
    jumpWall(ms) {
      wallNs += BigInt(Math.round(ms * 1e6));
    },
    async advance(ms) {
      const untilMs = monotonicMs + ms;
      const move = (toMs: number) => {
        wallNs += BigInt(Math.round((toMs - monotonicMs) * 1e6));
        monotonicMs = toMs;
      };
      for (;;) {
        await settle();
        const due = [...sleeping].filter((sleeper) => sleeper.atMs <= untilMs).sort((a, b) => a.atMs - b.atMs)[0];
        if (due === undefined) break;
        sleeping.delete(due);
        move(Math.max(monotonicMs, due.atMs));
        due.wake();
      }
      move(untilMs);
      await settle();
    },
  };
}

/** A clock on which every sleep is over at once (time moves by as much): for code whose delays do not matter to the test. */
export function createHastyClock(startNs = 1_700_000_000_000_000_000n): Clock & { readonly sleptMs: number[] } {
  let monotonicMs = 0;
  const sleptMs: number[] = [];
  return {
    sleptMs,
    nowNs: () => startNs + BigInt(Math.round(monotonicMs * 1e6)),
    monotonicMs: () => monotonicMs,
    async sleep(ms, signal) {
      signal?.throwIfAborted();
      sleptMs.push(ms);
      monotonicMs += ms;
    },
  };
}

function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
