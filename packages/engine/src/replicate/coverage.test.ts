/**
 * When a bucket covers a snapshot (docs/chain.md 6.1). What a peer's statement covers: `chain/cover.test.ts`,
 * `replicator.test.ts`.
 */
import { expect, test } from 'vitest';
import type { SnapshotRow } from '../core/ports/index.ts';
import type { BucketBelief } from '../ports/beliefs.ts';
import { type CoverageDeps, coveringTargets } from './coverage.ts';
import type { Target } from './targets.ts';

const snapshot = { id: 'ab'.repeat(32), seq: 5, shard: 1, damaged: false, branch: false } as unknown as SnapshotRow;
const target: Target = { type: 'bucket', target: 'store:b', store: 'b', scope: 'all' };
const belief: BucketBelief = {
  kind: 'bucket',
  askedSeq: 5,
  askedNs: 1n,
  position: { incarnation: 1, seq: 6, link: 'own' },
  storeId: '11'.repeat(16),
  location: '22'.repeat(32),
};

interface Case {
  readonly snapshot?: Partial<SnapshotRow>;
  readonly belief?: Partial<BucketBelief>;
  readonly target?: Partial<Extract<Target, { type: 'bucket' }>>;
  readonly reaches?: boolean;
}

async function covers(change: Case): Promise<boolean> {
  const deps = {
    self: { agentId: 'aa'.repeat(16), incarnation: 1 },
    chains: {
      isOnTrail: (_: string, { link }: { link: string }) => link === 'own',
      forms: () => [{ id: new Uint8Array(32) }],
    },
    answers: { ofBucket: () => ({ ...belief, ...change.belief }), ofPeer: () => undefined },
    buckets: { lacking: (_: string, after: number) => (after > 0 ? [] : [{ seq: 4, shard: 1, positions: [0] }]) },
    reachMeets: async () => change.reaches ?? true,
  } as unknown as CoverageDeps;
  const row = { ...snapshot, ...change.snapshot };
  const covered = await coveringTargets(row, [{ ...target, ...change.target } as Target], deps);
  return covered.length === 1;
}

test('a bucket covers a snapshot when all of the rule holds, and by none of it less', async () => {
  expect(await covers({})).toBe(true);
  const gaps: [string, Case][] = [
    ['a damaged snapshot', { snapshot: { damaged: true } }],
    ['a snapshot of a branch', { snapshot: { branch: true } }],
    ['asked before it was recorded', { belief: { askedSeq: 4 } }],
    ['trees and chain only', { target: { scope: 'meta' } }],
    ['nothing whole there', { belief: { position: undefined } }],
    ['whole before it', { belief: { position: { incarnation: 1, seq: 4, link: 'own' } } }],
    ['a position on another line', { belief: { position: { incarnation: 1, seq: 6, link: 'other' } } }],
  ];
  for (const [name, change] of gaps) expect(await covers(change), name).toBe(false);
});

test('it covers a snapshot that reaches nothing of what it lacks', async () => {
  const before = { position: { incarnation: 1, seq: 3, link: 'own' } };
  expect(await covers({ belief: before, reaches: false })).toBe(true);
  expect(await covers({ belief: before, reaches: true })).toBe(false);
});
