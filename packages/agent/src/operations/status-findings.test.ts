import { expect, test } from 'vitest';
import type { StatusData, StatusRoot, StatusStore } from './status-data.ts';
import { findingsOf } from './status-findings.ts';

const ROOT: StatusRoot = {
  name: 'files',
  path: '/srv/files',
  present: true,
  emptied: false,
  watch: true,
  last_snapshot: { id: 'ab', time: '2026-11-28T00:00:00Z', files: 1, bytes: 1, failed: 0, damaged: false },
  copies: { have: 2, want: 2 },
  sites: { have: 2, want: 2 },
};
const COLD: StatusStore = { name: 'archive', url: 's3://bucket', scope: 'meta', reachable: true, away: null };

function findings(roots: readonly StatusRoot[], more: Partial<StatusData> = {}) {
  const status = {
    agent: { running: false },
    store: { held_for_others: 0, below_floor: false, packs_away: null },
    roots,
    targets: [],
    stores: [COLD],
    stores_gone: [],
    holds: [],
    chain_problems: [],
    checkpoints: [],
    put_back: null,
    relearning_since: null,
    losses: [],
    releases: [],
    ...more,
  } as unknown as Omit<StatusData, 'findings'>;
  return findingsOf(status, { nowNs: 1_800_000_000_000_000_000n, replicationKey: '[replication.default]' });
}

test('a bucket that is only a cold tier is a note while the copies that are asked for are elsewhere', () => {
  expect(findings([ROOT])).toMatchObject([
    { code: 'bucket_incomplete', severity: 'info', next: expect.stringContaining('store = "archive"') },
  ]);
  const unmet = findings([ROOT, { ...ROOT, name: 'more', sites: { have: 1, want: 2 } }]);
  expect(unmet.find(({ code }) => code === 'bucket_incomplete')).toMatchObject({ severity: 'warning' });
  // Nothing is asked for, so nothing is elsewhere.
  const none = { copies: { have: 0, want: 0 }, sites: { have: 0, want: 0 } };
  expect(findings([{ ...ROOT, ...none }])).toMatchObject([
    { code: 'bucket_incomplete', severity: 'warning', next: expect.stringContaining('[replication.default]') },
  ]);
  expect(findings([])).toMatchObject([{ code: 'no_roots' }]);
});

test('what waits is told with what tries again: the agent, or a command where none runs', () => {
  const target = {
    name: 'archive',
    kind: 'bucket',
    scope: 'all',
    attempts: 2,
    last_error: 'E_STORE: it is away',
    next_try: '2026-01-01T00:00:00Z',
    pending_since: '2026-01-01T00:00:00Z',
    lacks: null,
    cloned: false,
    branches_there: 0,
  } as unknown as StatusData['targets'][number];
  const next = (more: Partial<StatusData>) => findings([ROOT], { targets: [target], stores: [], ...more })[0]?.next;
  expect(next({})).toBe('no agent runs: edgestore sync --wait sites=2 tries again');
  const agent = { running: true } as StatusData['agent'];
  expect(next({ agent })).toBe('tried again with the next pass');
  const later = { ...target, next_try: '2099-01-01T00:00:00Z' };
  expect(next({ agent, targets: [later] })).toBe('tried again at 2099-01-01T00:00:00Z');
});

test('a store that is configured no more, and a branch that only a holder has, are findings', () => {
  const target = {
    name: 'dc-b',
    kind: 'peer',
    scope: 'all',
    attempts: 0,
    pending: 0,
    lacks: null,
    asked: null,
    last_error: null,
    branches_there: 1,
  };
  const found = findings([ROOT], {
    stores: [],
    stores_gone: [{ name: 'old', packs: 3 }],
    targets: [target as unknown as StatusData['targets'][number]],
  });
  expect(found).toMatchObject([
    { code: 'store_gone', severity: 'warning', next: expect.stringContaining('edgestore sync') },
    { code: 'branch_elsewhere', severity: 'warning', message: expect.stringContaining('dc-b') },
  ]);
});
