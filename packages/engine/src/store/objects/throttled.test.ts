import { describe, expect, it } from 'vitest';
import { createHastyClock } from '../../testing/fake-clock.ts';
import { objectStoreContract } from '../../testing/object-store-contract.ts';
import { createStoreCounts, measured } from './measured.ts';
import { createMemoryObjectStore } from './memory.ts';
import { createRateLimiter, throttled } from './throttled.ts';

function slow(bytesPerSecond: number | undefined) {
  const clock = createHastyClock();
  const limits = {
    upload: createRateLimiter({ clock }, () => bytesPerSecond),
    download: createRateLimiter({ clock }, () => bytesPerSecond),
  };
  const counts = createStoreCounts();
  return { clock, counts, store: throttled(measured(createMemoryObjectStore(), counts), limits) };
}

objectStoreContract('the throttled and measured wrappers', { open: async () => slow(1_000_000).store });

describe('throttled', () => {
  it('keeps uploads to the rate on average', async () => {
    const { store, clock } = slow(1_000);
    for (let i = 0; i < 10; i++) await store.put(`k${i}`, new Uint8Array(500));
    // The last one is sent before its own bytes are paid for.
    expect(clock.monotonicMs()).toBeGreaterThanOrEqual(4_000);
    expect(clock.monotonicMs()).toBeLessThan(5_100);
  });

  it('does not wait without a limit', async () => {
    const { store, clock } = slow(undefined);
    for (let i = 0; i < 10; i++) await store.put(`k${i}`, new Uint8Array(500_000));
    expect(clock.sleptMs).toEqual([]);
  });
});

describe('measured', () => {
  it('counts calls, failures and bytes by verb', async () => {
    const { store, counts } = slow(undefined);
    await store.put('a', new Uint8Array(10));
    await store.get('a', { range: { offset: 2, length: 3 } });
    await expect(store.get('a', { range: { offset: 2, length: 30 } })).rejects.toThrow();
    await store.stat('a');
    for await (const _ of store.list('')) {
      // Only counted.
    }
    await store.delete('a');
    expect(counts).toEqual({
      calls: { put: 1, get: 2, stat: 1, list: 1, delete: 1 },
      failed: { put: 0, get: 1, stat: 0, list: 0, delete: 0 },
      bytesUp: 10,
      bytesDown: 3,
    });
  });
});
