import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type HolderCandidate, rankHolders } from './rank-holders.ts';

const agentOf = (n: number) => createHash('sha256').update(`agent ${n}`).digest('hex').slice(0, 32);
const members = fc.uniqueArray(
  fc.record({
    agent: fc.nat(1000).map(agentOf),
    site: fc.constantFrom('a', 'b', 'c'),
    weight: fc.integer({ min: 0, max: 5 }),
  }),
  { maxLength: 12, selector: ({ agent }) => agent },
);
const spread = fc.record({ copies: fc.integer({ min: 0, max: 5 }), sites: fc.integer({ min: 0, max: 4 }) });
const owner = agentOf(1);

test('as many holders and sites as asked for, where there are so many; never the owner, never weight 0', () => {
  fc.assert(
    fc.property(members, spread, (list, wanted) => {
      const usable = list.filter(({ agent, weight }) => agent !== owner && weight > 0);
      const chosen = rankHolders(owner, list, wanted);
      const siteOf = (agent: string) => usable.find((member) => member.agent === agent)!.site;
      expect(chosen.length).toBe(Math.min(usable.length, Math.max(wanted.copies, wanted.sites)));
      expect(new Set(chosen).size).toBe(chosen.length);
      const siteCount = new Set(usable.map(({ site }) => site)).size;
      expect(new Set(chosen.map(siteOf)).size).toBeGreaterThanOrEqual(Math.min(siteCount, wanted.sites));
    }),
  );
});

test('the order of members does not matter', () => {
  fc.assert(
    fc.property(members, spread, (list, wanted) => {
      expect(rankHolders(owner, [...list].reverse(), wanted)).toEqual(rankHolders(owner, list, wanted));
    }),
  );
});

test('a holder that goes moves only the owners that it had', () => {
  const list: HolderCandidate[] = Array.from({ length: 8 }, (_, i) => ({
    agent: agentOf(i),
    site: `s${i}`,
    weight: 1,
  }));
  const gone = list[3]!.agent;
  for (let i = 100; i < 300; i++) {
    const before = rankHolders(agentOf(i), list, { copies: 2, sites: 2 });
    const after = rankHolders(
      agentOf(i),
      list.filter(({ agent }) => agent !== gone),
      { copies: 2, sites: 2 },
    );
    expect(after.filter((agent) => before.includes(agent))).toEqual(before.filter((agent) => agent !== gone));
  }
});

test('owners spread by weight', () => {
  const list: HolderCandidate[] = [1, 1, 2].map((weight, i) => ({ agent: agentOf(i), site: 'x', weight }));
  const share = new Map<string, number>();
  for (let i = 0; i < 4000; i++) {
    const [first] = rankHolders(agentOf(i + 10), list, { copies: 1, sites: 1 });
    share.set(first!, (share.get(first!) ?? 0) + 1 / 4000);
  }
  expect(share.get(list[0]!.agent)).toBeCloseTo(0.25, 1);
  expect(share.get(list[2]!.agent)).toBeCloseTo(0.5, 1);
});

test('the ranking is what it was: every agent of a vault must compute the same', () => {
  const list: HolderCandidate[] = [0, 1, 2, 3, 4].map((i) => ({
    agent: agentOf(i + 20),
    site: i < 3 ? 'near' : 'far',
    weight: 1,
  }));
  const order = rankHolders(agentOf(7), list, { copies: 5, sites: 2 }).map((agent) =>
    list.findIndex((member) => member.agent === agent),
  );
  expect(order).toMatchInlineSnapshot(`
    [
      1,
      4,
      0,
      2,
      3,
    ]
  `);
});
