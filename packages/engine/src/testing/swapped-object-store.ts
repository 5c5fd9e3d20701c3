/**
 * An object store whose place changes: a disk that is unmounted, and leaves an empty folder. Each call of the base is
 * counted; a listing counts each of its
 * steps.
 */
import type { ObjectStat, ObjectStore } from '../core/ports/object-store.ts';

export interface SwappedObjectStore extends ObjectStore {
  /** Calls so far. */
  readonly calls: number;
  /** Calls behind the `first`, up to and with the `last` one, go to the other place. */
  swap(other: ObjectStore, first: number, last?: number): void;
}

export function createSwappedObjectStore(base: ObjectStore): SwappedObjectStore {
  let calls = 0;
  let other: ObjectStore | undefined;
  let range: readonly [first: number, last: number] = [Number.POSITIVE_INFINITY, 0];
  const next = (): ObjectStore => {
    calls += 1;
    return other !== undefined && calls > range[0] && calls <= range[1] ? other : base;
  };
  return {
    label: base.label,
    capabilities: base.capabilities,
    get calls() {
      return calls;
    },
    swap(place, first, last = Number.POSITIVE_INFINITY) {
      other = place;
      range = [calls + first, calls + last];
    },
    put: (key, body, options) => next().put(key, body, options),
    get: (key, options) => next().get(key, options),
    stat: (key, options) => next().stat(key, options),
    delete: (key, options) => next().delete(key, options),
    async *list(prefix, options = {}): AsyncGenerator<ObjectStat> {
      // Step by step, so that a place can go in the middle of a listing.
      let { after } = options;
      for (;;) {
        const step = await next()
          .list(prefix, after === undefined ? options : { ...options, after })
          [Symbol.asyncIterator]()
          .next();
        if (step.done === true) return;
        yield step.value;
        after = step.value.key;
      }
    },
  };
}
