import { describe, expect, it } from 'vitest';
import { EdgeError } from '../../core/errors.ts';
import { createHastyClock } from '../../testing/fake-clock.ts';
import { createFaultyObjectStore, type Fault } from '../../testing/faulty-object-store.ts';
import { objectStoreContract } from '../../testing/object-store-contract.ts';
import { createSeededRandom } from '../../testing/seeded-random.ts';
import { createMemoryObjectStore } from './memory.ts';
import { RETRY_LIMITS, retrying } from './retrying.ts';

function over(plan: readonly Fault[]) {
  const clock = createHastyClock();
  const random = createSeededRandom('retrying');
  const faulty = createFaultyObjectStore(createMemoryObjectStore(), plan, { clock, random });
  return { clock, faulty, store: retrying(faulty, { clock, random }) };
}

objectStoreContract('the retrying wrapper', { open: async () => over([]).store });
objectStoreContract('the retrying wrapper over replies that get lost', {
  open: async () => {
    const clock = createHastyClock();
    const random = createSeededRandom('lost');
    const lose = (verb: Fault['verb']): Fault => ({ verb, probability: 0.3, effect: { kind: 'drop-reply' } });
    const faulty = createFaultyObjectStore(
      createMemoryObjectStore(),
      [lose('put'), lose('get'), lose('stat'), lose('delete')],
      { clock, random },
    );
    return retrying(faulty, { clock, random }, { ...RETRY_LIMITS, triesMax: 40, retriesMax: 10_000 });
  },
});

describe('retrying', () => {
  it('gets over failures that pass, waiting in between', async () => {
    const { store, faulty, clock } = over([{ verb: 'put', nth: 1, times: 3, effect: { kind: 'error' } }]);
    await store.put('a', new Uint8Array([1]));
    expect(faulty.calls.put).toBe(4);
    expect(clock.sleptMs.length).toBe(3);
    for (const [i, ms] of clock.sleptMs.entries()) expect(ms).toBeLessThanOrEqual(250 * 2 ** i);
  });

  it('tries a dead kept-alive socket again at once', async () => {
    const { store, clock } = over([{ verb: 'get', nth: 1, effect: { kind: 'drop-reply' } }]);
    expect(await store.get('absent')).toBeUndefined();
    expect(clock.sleptMs).toEqual([]);
  });

  it('does not try again what cannot change', async () => {
    const { store, faulty } = over([
      { verb: 'put', effect: { kind: 'error', error: new EdgeError('E_DENIED', 'no') } },
    ]);
    await expect(store.put('a', new Uint8Array(1))).rejects.toMatchObject({ code: 'E_DENIED' });
    expect(faulty.calls.put).toBe(1);
  });

  it('takes its own earlier put, whose reply was lost, for success', async () => {
    const { store } = over([{ verb: 'put', nth: 1, effect: { kind: 'drop-reply' } }]);
    await store.put('a', new Uint8Array([7]), { ifAbsent: true });
    expect(await store.get('a')).toEqual(new Uint8Array([7]));
  });

  it("takes another's object for a loss, also after a lost reply", async () => {
    const { store, faulty } = over([]);
    await store.put('a', new Uint8Array([1]));
    faulty.setPlan([{ verb: 'put', nth: 1, effect: { kind: 'error' } }]);
    await expect(store.put('a', new Uint8Array([2]), { ifAbsent: true })).rejects.toMatchObject({ code: 'E_BUSY' });
    expect(await store.get('a')).toEqual(new Uint8Array([1]));
  });

  it('gives up after its tries, and says so', async () => {
    const { store, faulty } = over([{ verb: 'stat', effect: { kind: 'error' } }]);
    await expect(store.stat('a')).rejects.toMatchObject({
      code: 'E_STORE',
      retryable: true,
      context: { tries: RETRY_LIMITS.triesMax },
    });
    expect(faulty.calls.stat).toBe(RETRY_LIMITS.triesMax);
  });

  it('spends a bounded budget of retries in an outage', async () => {
    const { faulty } = over([{ verb: 'put', effect: { kind: 'error' } }]);
    const clock = { ...createHastyClock(), monotonicMs: () => 0 };
    const store = retrying(faulty, { clock, random: createSeededRandom(1) });
    const outcomes = await Promise.allSettled(
      Array.from({ length: 50 }, (_, i) => store.put(`k${i}`, new Uint8Array(1))),
    );
    expect(outcomes.every((outcome) => outcome.status === 'rejected')).toBe(true);
    expect(faulty.calls.put).toBe(50 + RETRY_LIMITS.retriesMax);
  });

  it('begins a broken listing again without giving a key twice', async () => {
    const { store, faulty } = over([]);
    for (const key of ['a', 'b', 'c', 'd']) await store.put(key, new Uint8Array(1));
    faulty.setPlan([{ verb: 'list', nth: 1, effect: { kind: 'drop-reply' } }]);
    const keys = [];
    for await (const found of store.list('')) keys.push(found.key);
    expect(keys).toEqual(['a', 'b', 'c', 'd']);
    expect(faulty.calls.list).toBe(2);
  });

  it('stops waiting when it is told to', async () => {
    const { faulty } = over([{ verb: 'get', effect: { kind: 'error' } }]);
    const controller = new AbortController();
    const clock = { ...createHastyClock(), sleep: async (_: number, signal?: AbortSignal) => signal?.throwIfAborted() };
    const store = retrying(faulty, { clock, random: createSeededRandom(1) });
    controller.abort(new EdgeError('E_INTERRUPTED', 'stop'));
    await expect(store.get('a', { signal: controller.signal })).rejects.toBeInstanceOf(EdgeError);
    expect(faulty.calls.get).toBe(1);
  });
});
