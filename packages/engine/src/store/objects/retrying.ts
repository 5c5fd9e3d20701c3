/**
 * Tries a store's verbs again when they failed in a way that may pass: full jitter over a doubling delay, a bound on tries, and a budget
 * of retries shared by all verbs, so that an outage is not answered by a storm (P7).
 */

import { bytesEqual } from '../../core/bytes.ts';
import type { Clock, RandomBytes } from '../../core/clock.ts';
import { EdgeError, isEdgeError, toEdgeError } from '../../core/errors.ts';
import type { ObjectStat, ObjectStore } from '../../core/ports/object-store.ts';

export interface RetryLimits {
  /** Tries of one verb, the first included. */
  readonly triesMax: number;
  readonly firstDelayMs: number;
  readonly delayMsMax: number;
  /** Retries that may be spent at once; refilled at `retriesPerSecond`. */
  readonly retriesMax: number;
  readonly retriesPerSecond: number;
}

/** About 20 s of tries for one object; over time at most one retry in two seconds once the first thirty are spent. */
export const RETRY_LIMITS: RetryLimits = {
  triesMax: 6,
  firstDelayMs: 250,
  delayMsMax: 15_000,
  retriesMax: 30,
  retriesPerSecond: 0.5,
};

/** Throws the last failure, still `retryable`, with `context.tries`: a queue may come back to it later. */
export function retrying(
  store: ObjectStore,
  deps: { readonly clock: Clock; readonly random: RandomBytes },
  limits: RetryLimits = RETRY_LIMITS,
): ObjectStore {
  const budget = retryBudget(deps.clock, limits);

  async function attempt<T>(run: (again: boolean) => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    for (let tried = 1; ; tried++) {
      try {
        return await run(tried > 1);
      } catch (thrown) {
        const error = toEdgeError(thrown);
        if (!error.retryable || signal?.aborted === true) throw error;
        if (tried >= limits.triesMax || !budget.take()) throw withTries(error, tried);
        // A kept-alive socket that the server had closed says nothing about the server: the first retry is at once.
        const immediate = tried === 1 && error.context.deadSocket === true;
        if (!immediate) await deps.clock.sleep(jitteredDelayMs(tried, limits, deps.random), signal);
      }
    }
  }

  return {
    label: store.label,
    capabilities: store.capabilities,
    put: (key, body, options = {}) =>
      attempt(async (again) => {
        try {
          await store.put(key, body, options);
        } catch (error) {
          // The earlier try may have been stored and only its reply lost: then what is there is ours.
          if (!again || options.ifAbsent !== true || !isEdgeError(error, 'E_BUSY')) throw error;
          const found = await store.get(key, options.signal === undefined ? {} : { signal: options.signal });
          if (found === undefined || !bytesEqual(found, body)) throw error;
        }
      }, options.signal),
    get: (key, options = {}) => attempt(() => store.get(key, options), options.signal),
    stat: (key, options = {}) => attempt(() => store.stat(key, options), options.signal),
    delete: (key, options = {}) => attempt(() => store.delete(key, options), options.signal),
    // Not tried again: an fsync that failed must not be followed by one that succeeds.
    ...(store.settle === undefined ? {} : { settle: store.settle.bind(store) }),
    ...(store.makePlace === undefined ? {} : { makePlace: store.makePlace.bind(store) }),
    async *list(prefix, options = {}): AsyncGenerator<ObjectStat> {
      // A listing that breaks is begun again, and what was given already is passed over.
      let last = '';
      let source = store.list(prefix, options)[Symbol.asyncIterator]();
      for (;;) {
        const next = await attempt(async (again) => {
          if (again)
            source = store.list(prefix, last === '' ? options : { ...options, after: last })[Symbol.asyncIterator]();
          for (;;) {
            const step = await source.next();
            if (step.done === true || step.value.key > last) return step;
          }
        }, options.signal);
        if (next.done === true) return;
        last = next.value.key;
        yield next.value;
      }
    },
  };
}

interface RetryBudget {
  /** False when no retry is left for now. */
  take(): boolean;
}

function retryBudget(clock: Clock, limits: RetryLimits): RetryBudget {
  let left = limits.retriesMax;
  let atMs = clock.monotonicMs();
  return {
    take() {
      const nowMs = clock.monotonicMs();
      left = Math.min(limits.retriesMax, left + ((nowMs - atMs) / 1000) * limits.retriesPerSecond);
      atMs = nowMs;
      if (left < 1) return false;
      left -= 1;
      return true;
    },
  };
}

/** Full jitter: evenly between nothing and the doubling bound. https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/ */
function jitteredDelayMs(tried: number, limits: RetryLimits, random: RandomBytes): number {
  const bound = Math.min(limits.delayMsMax, limits.firstDelayMs * 2 ** (tried - 1));
  const four = random(4);
  const fraction = new DataView(four.buffer, four.byteOffset, 4).getUint32(0) / 2 ** 32;
  return Math.floor(fraction * bound);
}

function withTries(error: EdgeError, tries: number): EdgeError {
  return new EdgeError(error.code, `${error.message} (after ${tries} ${tries === 1 ? 'try' : 'tries'})`, {
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    context: { ...error.context, tries },
    retryable: true,
    cause: error,
  });
}
