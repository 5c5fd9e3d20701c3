/** A background worker: it works while there is something to do, sleeps until it is woken or its time comes, and says what it is doing. */
import { type Clock, type EdgeError, toEdgeError } from '@edgestore/engine';

export interface WorkerStatus {
  readonly name: string;
  readonly state: 'working' | 'idle' | 'failing' | 'stopped';
  /** Runs that ended, well or not. */
  readonly runs: number;
  readonly failures: number;
  readonly lastError: string | undefined;
}

export interface BackgroundWorker {
  readonly name: string;
  /** There may be something to do: looks now. */
  wake(): void;
  status(): WorkerStatus;
  /** Resolves when the run in hand has ended; it is told to by its signal. */
  stop(): Promise<void>;
}

/** A worker that fails does not spin. */
const FAILURE_SLEEP_MS_MIN = 1000;
const FAILURE_SLEEP_MS_MAX = 60_000;

export function startWorker(input: {
  readonly name: string;
  readonly clock: Clock;
  /** Does what is due. Answers in how many milliseconds to look again at the latest; undefined for only when woken. */
  readonly work: (signal: AbortSignal) => Promise<number | undefined>;
  readonly onError: (error: EdgeError, worker: string) => void;
}): BackgroundWorker {
  const stopping = new AbortController();
  let wakeUp: (() => void) | undefined;
  let isWoken = false;
  let state: WorkerStatus['state'] = 'idle';
  let runs = 0;
  let failures = 0;
  let inARow = 0;
  let lastError: string | undefined;

  async function sleep(ms: number | undefined): Promise<void> {
    if (isWoken || stopping.signal.aborted) return;
    const woken = new Promise<void>((resolve) => {
      wakeUp = resolve;
    });
    const nap = new AbortController();
    const timed = ms === undefined ? woken : Promise.race([woken, input.clock.sleep(ms, nap.signal).catch(() => {})]);
    await timed;
    nap.abort();
    wakeUp = undefined;
  }

  async function loop(): Promise<void> {
    while (!stopping.signal.aborted) {
      isWoken = false;
      let next: number | undefined;
      state = 'working';
      try {
        next = await input.work(stopping.signal);
        inARow = 0;
        state = 'idle';
      } catch (error) {
        if (stopping.signal.aborted) break;
        const known = toEdgeError(error);
        failures++;
        lastError = `${known.code}: ${known.message}`;
        next = Math.min(FAILURE_SLEEP_MS_MAX, FAILURE_SLEEP_MS_MIN * 2 ** Math.min(inARow++, 10));
        state = 'failing';
        input.onError(known, input.name);
      }
      runs++;
      await sleep(next);
    }
    state = 'stopped';
  }

  const ended = loop();
  return {
    name: input.name,
    wake: () => {
      isWoken = true;
      wakeUp?.();
    },
    status: () => ({ name: input.name, state, runs, failures, lastError }),
    stop: async () => {
      stopping.abort();
      wakeUp?.();
      await ended;
    },
  };
}
