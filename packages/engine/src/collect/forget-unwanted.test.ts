import { describe, expect, it } from 'vitest';
import { toHex } from '../core/ids.ts';
import { type ForgetUnwantedDeps, forgetUnwanted } from './forget-unwanted.ts';

const chunk = (fill: number): Uint8Array => new Uint8Array(32).fill(fill);

function deps(given: {
  readonly problems?: number;
  readonly applied?: number;
  readonly sessions?: number;
  readonly held?: readonly Uint8Array[];
}) {
  const forgotten: string[] = [];
  const held = new Set((given.held ?? []).map(toHex));
  const one = <T>(count: number | undefined, what: T): T[] => Array.from({ length: count ?? 0 }, () => what);
  const all = {
    chains: {
      agents: () => ['ab'.repeat(16)],
      position: () => ({ incarnation: 1, seq: 9, link: '0'.repeat(64) }),
      shards: () => [{ shard: 0, applied: given.applied ?? 9 }],
      problems: () => one(given.problems, { agent: 'ab'.repeat(16), message: 'damaged', sinceNs: 1n }),
    },
    chunks: {
      lostUnheldIds: () => [chunk(1), chunk(2)],
      sessions: () => one(given.sessions, { session: 1, what: 'capture', snapshots: [] }),
      forgetBadCopies: (ids: readonly Uint8Array[]) => void forgotten.push(...ids.map(toHex)),
      settleLosses: () => {},
    },
    isHeld: (id: Uint8Array) => held.has(toHex(id)),
  };
  return { forgotten, deps: all as unknown as ForgetUnwantedDeps };
}

describe('forgetting copies that nobody wants', () => {
  it('forgets what is held by nobody, and nothing that somebody holds', () => {
    const { forgotten, deps: given } = deps({ held: [chunk(2)] });
    expect([...forgetUnwanted(given)]).toEqual([toHex(chunk(1))]);
    expect(forgotten).toEqual([toHex(chunk(1))]);
  });

  it('forgets nothing while a chain is damaged, short or waits for bodies, or a session runs', () => {
    for (const one of [{ problems: 1 }, { applied: 8 }, { sessions: 1 }]) {
      const { forgotten, deps: given } = deps(one);
      expect(forgetUnwanted(given).size).toBe(0);
      expect(forgotten).toEqual([]);
    }
  });
});
