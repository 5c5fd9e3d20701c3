/** Counts what a store is asked for: requests are what a bucket bills, and what `tier run` and metrics report. */
import type { ObjectStat, ObjectStore } from '../../core/ports/object-store.ts';

export type StoreVerb = 'put' | 'get' | 'stat' | 'list' | 'delete';

export interface StoreCounts {
  /** Calls of each verb that reached the store, failed ones included; a listing counts once, whatever its pages. */
  readonly calls: Record<StoreVerb, number>;
  readonly failed: Record<StoreVerb, number>;
  bytesUp: number;
  bytesDown: number;
}

export function createStoreCounts(): StoreCounts {
  const none = () => ({ put: 0, get: 0, stat: 0, list: 0, delete: 0 });
  return { calls: none(), failed: none(), bytesUp: 0, bytesDown: 0 };
}

export function measured(store: ObjectStore, counts: StoreCounts): ObjectStore {
  async function count<T>(verb: StoreVerb, run: () => Promise<T>): Promise<T> {
    counts.calls[verb] += 1;
    try {
      return await run();
    } catch (error) {
      counts.failed[verb] += 1;
      throw error;
    }
  }
  return {
    label: store.label,
    capabilities: store.capabilities,
    put: (key, body, options) =>
      count('put', async () => {
        await store.put(key, body, options);
        counts.bytesUp += body.length;
      }),
    get: (key, options) =>
      count('get', async () => {
        const found = await store.get(key, options);
        counts.bytesDown += found?.length ?? 0;
        return found;
      }),
    stat: (key, options) => count('stat', () => store.stat(key, options)),
    delete: (key, options) => count('delete', () => store.delete(key, options)),
    ...(store.settle === undefined ? {} : { settle: store.settle.bind(store) }),
    ...(store.makePlace === undefined ? {} : { makePlace: store.makePlace.bind(store) }),
    async *list(prefix, options): AsyncGenerator<ObjectStat> {
      counts.calls.list += 1;
      try {
        yield* store.list(prefix, options);
      } catch (error) {
        counts.failed.list += 1;
        throw error;
      }
    },
  };
}
