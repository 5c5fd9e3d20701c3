import { expect, test } from 'vitest';
import { type CoveredStore, type CoverInput, coveredLevels, coverGap, isCovered } from './cover.ts';
import type { Position } from './position.ts';
import type { StatedShard, Statement } from './statement.ts';
import { encodeUnsatisfiedList, type ListedIds, listedIds } from './unsatisfied-list.ts';

const position: Position = { incarnation: 2, seq: 20, link: 'aa'.repeat(32) };
const shard: StatedShard = {
  shard: 1,
  applied: 20,
  whole: 20,
  wanted: 0,
  lost: 0,
  unreadable: 0,
  listDigest: '00'.repeat(32),
};
const statement: Statement = {
  vault: '0a'.repeat(16),
  holder: '0b'.repeat(16),
  holderIncarnation: 1,
  storeId: '0c'.repeat(16),
  epoch: 1n,
  startId: '0d'.repeat(16),
  owner: '0e'.repeat(16),
  position,
  layoutVersion: 3,
  nonce: new Uint8Array(32),
  branches: [],
  wallNs: 0n,
  shards: [shard],
  backing: [],
};
const list = listedIds(encodeUnsatisfiedList([{ id: new Uint8Array(32), reason: 'wanted' }]));

interface Change {
  readonly snapshot?: Partial<CoverInput['snapshot']>;
  readonly statement?: Partial<Statement>;
  readonly shard?: Partial<StatedShard>;
  readonly askedAtSeq?: number;
  readonly list?: ListedIds;
  readonly isRanked?: boolean;
  readonly isOnTrail?: boolean;
  readonly meets?: boolean;
}

function input(change: Change = {}): CoverInput {
  return {
    snapshot: { seq: 15, shard: 1, damaged: false, ...change.snapshot },
    answer: {
      statement: { ...statement, shards: [{ ...shard, ...change.shard }], ...change.statement },
      askedAtSeq: change.askedAtSeq ?? 15,
      lists: change.list === undefined ? new Map() : new Map([[1, change.list]]),
    },
    owner: { incarnation: 2, layoutVersion: 3, isOnTrail: () => change.isOnTrail ?? true },
    isRanked: change.isRanked ?? true,
    reachMeets: () => change.meets ?? true,
  };
}

test('a snapshot is covered when all of the rule holds, and by none of it less', () => {
  expect(isCovered(input())).toBe(true);
  const gaps: [string, Change, ReturnType<typeof coverGap>][] = [
    ['a damaged snapshot', { snapshot: { damaged: true } }, 'damaged'],
    ['asked before it was recorded', { askedAtSeq: 14 }, 'asked-before'],
    ['a store that is not ranked', { isRanked: false }, 'not-ranked'],
    ['another layout', { statement: { layoutVersion: 2 } }, 'other-layout'],
    ['nothing of the owner', { statement: { position: undefined } }, 'no-position'],
    ['an older incarnation', { statement: { position: { ...position, incarnation: 1 } } }, 'older-incarnation'],
    ['a position before it', { statement: { position: { ...position, seq: 14 } } }, 'behind'],
    ['a position on another line', { isOnTrail: false }, 'not-on-trail'],
    ['a shard that it does not keep', { statement: { shards: [] } }, 'bodies-missing'],
    ['another shard only', { snapshot: { shard: 2 } }, 'bodies-missing'],
    ['whole before it, no list', { shard: { whole: 14 } }, 'chunks-missing'],
    ['whole before it, a list that it reaches', { shard: { whole: 14 }, list }, 'chunks-missing'],
  ];
  for (const [name, change, gap] of gaps) expect(coverGap(input(change)), name).toBe(gap);
});

test('a list of which it reaches nothing covers it, but never beyond the applied bodies (K1)', () => {
  expect(isCovered(input({ shard: { whole: 14 }, list, meets: false }))).toBe(true);
  expect(coverGap(input({ shard: { whole: 0, applied: 0 }, list: listedIds(new Uint8Array(0)), meets: false }))).toBe(
    'bodies-missing',
  );
  expect(coverGap(input({ shard: { whole: 14, applied: 14 }, list, meets: false }))).toBe('bodies-missing');
});

const peer = (name: string, over: Partial<Extract<CoveredStore, { type: 'peer' }>> = {}): CoveredStore => ({
  type: 'peer',
  agent: `agent ${name}`,
  storeId: `store ${name}`,
  site: `site ${name}`,
  backing: [],
  ...over,
});
const bucket = (location: string, isOwnTier = false): CoveredStore => ({
  type: 'bucket',
  storeId: `prefix ${location}`,
  location,
  isOwnTier,
});

test('levels count stores once an agent, a store id, a site and a bucket', () => {
  const cases: [string, CoveredStore[], [number, number, boolean]][] = [
    ['nothing', [], [0, 0, false]],
    ['two peers', [peer('a'), peer('b')], [2, 2, false]],
    ['two peers at one site', [peer('a'), peer('b', { site: 'site a' })], [2, 1, false]],
    ['one agent with two data dirs', [peer('a'), peer('b', { agent: 'agent a', site: 'site a' })], [1, 1, false]],
    ['one data dir copied to two agents', [peer('a'), peer('b', { storeId: 'store a' })], [1, 1, false]],
    ['two peers behind one bucket', [peer('a', { backing: ['x'] }), peer('b', { backing: ['x'] })], [1, 1, false]],
    ['a peer and the bucket behind it', [peer('a', { backing: ['x'] }), bucket('x')], [1, 1, true]],
    ['a peer and another bucket', [peer('a', { backing: ['x'] }), bucket('y')], [1, 2, true]],
    ['one bucket by two names', [bucket('x'), { ...bucket('x'), storeId: 'other' } as CoveredStore], [0, 1, true]],
    ['the own cold tier', [peer('a'), bucket('x', true)], [1, 1, true]],
    [
      'three peers chained by two buckets',
      [peer('a', { backing: ['x'] }), peer('b', { backing: ['y'] }), peer('c', { backing: ['x', 'y'] })],
      [1, 1, false],
    ],
  ];
  for (const [name, stores, [peers, sites, s3]] of cases) {
    expect(coveredLevels(stores), name).toEqual({ peers, sites, s3 });
    expect(coveredLevels([...stores].reverse()), name).toEqual({ peers, sites, s3 });
  }
});
