/** Keeps a store's transfer under rates that may change while it runs. */
import type { Clock } from '../../core/clock.ts';
import type { ObjectStore } from '../../core/ports/object-store.ts';
import { checkRange } from './object-key.ts';

export interface RateLimiter {
  /** Resolves when these bytes may be sent. Requests are served in order. */
  take(bytes: number, signal?: AbortSignal): Promise<void>;
}

/** What may go at once after a pause: one second's worth. */
const BURST_SECONDS = 1;

/** `bytesPerSecond` is asked at each take, so that a schedule or a reload counts at once; undefined is no limit. */
export function createRateLimiter(
  deps: { readonly clock: Clock },
  bytesPerSecond: () => number | undefined,
): RateLimiter {
  let availableBytes = 0;
  let atMs = deps.clock.monotonicMs();
  let turn: Promise<void> = Promise.resolve();

  async function wait(bytes: number, signal: AbortSignal | undefined): Promise<void> {
    const rate = bytesPerSecond();
    const nowMs = deps.clock.monotonicMs();
    if (rate === undefined) {
      atMs = nowMs;
      return;
    }
    availableBytes = Math.min(rate * BURST_SECONDS, availableBytes + ((nowMs - atMs) / 1000) * rate);
    atMs = nowMs;
    // An object larger than the burst goes into debt and the next one waits for it, so the average holds.
    if (availableBytes <= 0) await deps.clock.sleep(Math.ceil((-availableBytes / rate) * 1000), signal);
    availableBytes -= bytes;
  }

  return {
    take(bytes, signal) {
      const mine = turn.then(() => wait(bytes, signal));
      turn = mine.catch(() => {
        // The one who was interrupted hears of it by its own promise; the next takes its turn.
      });
      return mine;
    },
  };
}

/** Bodies wait for the limiters; stat, list and delete are a few hundred bytes and do not. */
export function throttled(
  store: ObjectStore,
  limits: { readonly upload: RateLimiter; readonly download: RateLimiter },
): ObjectStore {
  return {
    label: store.label,
    capabilities: store.capabilities,
    async put(key, body, options = {}) {
      await limits.upload.take(body.length, options.signal);
      await store.put(key, body, options);
    },
    async get(key, options = {}) {
      checkRange(options.range);
      if (options.range !== undefined) await limits.download.take(options.range.length, options.signal);
      const found = await store.get(key, options);
      // The length of a whole object is known only now; the next request pays for it.
      if (options.range === undefined && found !== undefined) await limits.download.take(found.length, options.signal);
      return found;
    },
    stat: (key, options) => store.stat(key, options),
    list: (prefix, options) => store.list(prefix, options),
    delete: (key, options) => store.delete(key, options),
    ...(store.settle === undefined ? {} : { settle: store.settle.bind(store) }),
    ...(store.makePlace === undefined ? {} : { makePlace: store.makePlace.bind(store) }),
  };
}
