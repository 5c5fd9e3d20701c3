/**
 * An object store that fails as real ones do, by a plan: errors, delays, replies that are lost after the work was done, short and
 * flipped bodies, stale listings. What it stores is the base store's.
 */
import type { Clock, RandomBytes } from '../core/clock.ts';
import { EdgeError } from '../core/errors.ts';
import type { ObjectStat, ObjectStore } from '../core/ports/object-store.ts';
import { randomFraction } from './seeded-random.ts';

export type FaultyVerb = 'put' | 'get' | 'stat' | 'list' | 'delete';

export interface Fault {
  readonly verb: FaultyVerb;
  /** Keys it touches; all when absent. */
  readonly key?: RegExp;
  /** The call it strikes, counting from 1 those that match verb and key. Without `nth` and `probability`: every one. */
  readonly nth?: number;
  /** How many calls in a row it strikes from `nth` on. Default 1. */
  readonly times?: number;
  /** Strikes each matching call with this chance, from the seeded stream. */
  readonly probability?: number;
  readonly effect: FaultEffect;
}

export type FaultEffect =
  /** Fails before anything is done. */
  | { readonly kind: 'error'; readonly error?: EdgeError }
  /** Does the work, then fails: the reply was lost. */
  | { readonly kind: 'drop-reply'; readonly error?: EdgeError }
  | { readonly kind: 'delay'; readonly ms: number }
  /** Never answers; ends with the caller's signal. */
  | { readonly kind: 'hang' }
  /** get: only so many bytes come (the contract forbids it: a driver that lies). put: only so many are stored, and success is said. */
  | { readonly kind: 'truncate'; readonly bytes: number }
  /** get: one bit of the answer is flipped. put: one bit of what is stored. */
  | { readonly kind: 'flip'; readonly bit?: number }
  /** get: another object's bytes. */
  | { readonly kind: 'other-object'; readonly key: string }
  /** put: says it is stored, and stores nothing. delete: says it is gone, and keeps it. */
  | { readonly kind: 'lie' }
  /** get, stat, list: answers as things were before the newest put or delete of each key. */
  | { readonly kind: 'stale' };

export interface FaultyObjectStore extends ObjectStore {
  /** The faults that struck, in order. */
  readonly struck: { readonly verb: FaultyVerb; readonly key: string; readonly kind: FaultEffect['kind'] }[];
  /** Calls per verb, struck or not. */
  readonly calls: Record<FaultyVerb, number>;
  setPlan(plan: readonly Fault[]): void;
}

export function createFaultyObjectStore(
  base: ObjectStore,
  plan: readonly Fault[],
  deps: { readonly clock: Clock; readonly random: RandomBytes },
): FaultyObjectStore {
  let active = plan.map((fault) => ({ fault, seen: 0 }));
  /** What each key held before its newest change here: undefined for nothing. */
  const before = new Map<string, Uint8Array | undefined>();
  const struck: FaultyObjectStore['struck'] = [];
  const calls: Record<FaultyVerb, number> = { put: 0, get: 0, stat: 0, list: 0, delete: 0 };

  function strike(verb: FaultyVerb, key: string): FaultEffect | undefined {
    calls[verb] += 1;
    let effect: FaultEffect | undefined;
    for (const entry of active) {
      const { fault } = entry;
      if (fault.verb !== verb || (fault.key !== undefined && !fault.key.test(key))) continue;
      entry.seen += 1;
      if (effect !== undefined || !strikes(fault, entry.seen)) continue;
      effect = fault.effect;
      struck.push({ verb, key, kind: effect.kind });
    }
    return effect;
  }

  function strikes(fault: Fault, seen: number): boolean {
    if (fault.nth !== undefined) return seen >= fault.nth && seen < fault.nth + (fault.times ?? 1);
    if (fault.probability !== undefined) return randomFraction(deps.random) < fault.probability;
    return true;
  }

  /** Effects that are the same for every verb; false when the work is still to be done in another way. */
  async function begin(
    effect: FaultEffect | undefined,
    verb: FaultyVerb,
    key: string,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    if (effect?.kind === 'error') throw effect.error ?? unavailable(verb, key);
    if (effect?.kind === 'delay') await deps.clock.sleep(effect.ms, signal);
    if (effect?.kind === 'hang') await untilAborted(signal);
  }

  function end(effect: FaultEffect | undefined, verb: FaultyVerb, key: string): void {
    if (effect?.kind === 'drop-reply') throw effect.error ?? lostReply(verb, key);
  }

  return {
    label: `faulty ${base.label}`,
    capabilities: base.capabilities,
    struck,
    calls,
    setPlan(next) {
      active = next.map((fault) => ({ fault, seen: 0 }));
    },
    async put(key, body, options = {}) {
      const effect = strike('put', key);
      await begin(effect, 'put', key, options.signal);
      const earlier = await base.get(key);
      if (effect?.kind !== 'lie') await base.put(key, spoil(body, effect, deps.random), options);
      before.set(key, earlier);
      end(effect, 'put', key);
    },
    async get(key, options = {}) {
      const effect = strike('get', key);
      await begin(effect, 'get', key, options.signal);
      let found: Uint8Array | undefined;
      if (effect?.kind === 'stale' && before.has(key)) found = cut(before.get(key), options.range);
      else if (effect?.kind === 'other-object') found = cut(await base.get(effect.key), options.range);
      else found = await base.get(key, options);
      end(effect, 'get', key);
      return found === undefined ? undefined : spoil(found, effect, deps.random);
    },
    async stat(key, options = {}) {
      const effect = strike('stat', key);
      await begin(effect, 'stat', key, options.signal);
      if (effect?.kind === 'stale' && before.has(key)) {
        const earlier = before.get(key);
        return earlier === undefined ? undefined : { key, size: earlier.length };
      }
      const found = await base.stat(key, options);
      end(effect, 'stat', key);
      return found;
    },
    async *list(prefix, options = {}): AsyncGenerator<ObjectStat> {
      const effect = strike('list', prefix);
      await begin(effect, 'list', prefix, options.signal);
      let given = 0;
      for await (const stat of base.list(prefix, options)) {
        if (effect?.kind === 'stale' && before.has(stat.key) && before.get(stat.key) === undefined) continue;
        if (effect?.kind === 'truncate' && given >= effect.bytes) return;
        given += 1;
        yield stat;
      }
      end(effect, 'list', prefix);
    },
    async delete(key, options = {}) {
      const effect = strike('delete', key);
      await begin(effect, 'delete', key, options.signal);
      const earlier = await base.get(key);
      if (effect?.kind !== 'lie') await base.delete(key, options);
      before.set(key, earlier);
      end(effect, 'delete', key);
    },
  };
}

/** The failure that a wrapper is expected to try again. */
function unavailable(verb: FaultyVerb, key: string): EdgeError {
  return new EdgeError('E_STORE', `injected: cannot ${verb} ${key}: SlowDown (HTTP 503)`, {
    retryable: true,
    context: { status: 503 },
  });
}

function lostReply(verb: FaultyVerb, key: string): EdgeError {
  return new EdgeError('E_STORE', `injected: the reply to ${verb} ${key} was lost`, {
    retryable: true,
    context: { deadSocket: true },
  });
}

function spoil(body: Uint8Array, effect: FaultEffect | undefined, random: RandomBytes): Uint8Array {
  if (effect?.kind === 'truncate') return body.subarray(0, effect.bytes);
  if (effect?.kind !== 'flip' || body.length === 0) return body;
  const bit = effect.bit ?? Math.floor(randomFraction(random) * body.length * 8);
  const out = Uint8Array.from(body);
  const at = Math.floor(bit / 8) % out.length;
  out[at] = (out[at] ?? 0) ^ (1 << (bit % 8));
  return out;
}

function cut(
  body: Uint8Array | undefined,
  range: { readonly offset: number; readonly length: number } | undefined,
): Uint8Array | undefined {
  return body === undefined || range === undefined ? body : body.subarray(range.offset, range.offset + range.length);
}

function untilAborted(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_, reject) => {
    if (signal === undefined) return;
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}
