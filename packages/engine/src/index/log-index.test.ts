import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EntryKind } from '../chain/entry-head.ts';
import type { RecordBody, SnapshotBody } from '../log/record-body.ts';
import { createFakeClock } from '../testing/fake-clock.ts';
import { temporaryFolder } from '../testing/store-fixture.ts';
import { type Index, openIndex } from './open-index.ts';

const vault = 'cd'.repeat(16);
const agent = '44'.repeat(16);
let folder: ReturnType<typeof temporaryFolder>;
let index: Index;

beforeEach(() => {
  folder = temporaryFolder();
  index = openIndex(join(folder.path, 'index.sqlite'), { clock: createFakeClock(), vault });
});
afterEach(() => {
  index.close();
  folder.remove();
});

const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex');

const chainOf = (of: string): number => (index.chainTable.followed(of) ?? index.chainTable.add(of, false)).chain;

/** Applies a record at `incarnation/seq` as its entry would be. Answers the entry's link. */
function apply(place: string, body: RecordBody, of = agent): string {
  const [incarnation, seq] = place.split('/').map(Number) as [number, number];
  const text = JSON.stringify(body, (_k, value) => (typeof value === 'bigint' ? `${value}` : value));
  const link = hashOf(`${of}/${place}/${text}`);
  const chain = chainOf(of);
  const shard = body.type === 'snapshot' ? 1 : 0;
  const file = { fileIncarnation: 1, file: 1, offset: seq * 10, itemEnd: seq * 10 + 10 };
  index.transaction(() => {
    index.chainTable.addEntry({
      chain,
      seq,
      incarnation,
      kind: EntryKind.record,
      shard,
      link,
      ...file,
      bodyBytes: 5,
      bodyAt: undefined,
      isLate: false,
      waits: false,
    });
    index.log.applyRecord({ chain, incarnation, seq, shard, link }, body);
  });
  return link;
}

function snapshot(root: string, over: Partial<SnapshotBody> = {}): SnapshotBody {
  return {
    type: 'snapshot',
    root,
    path: new Uint8Array(Buffer.from(`/${root}`)),
    timeNs: 5n,
    entry: {
      name: new Uint8Array(0),
      type: 'dir',
      mtimeNs: -3n,
      posix: { mode: 0o755, uid: 0, gid: 0 },
      pages: [new Uint8Array(32).fill(7)],
    },
    stats: { files: 1, dirs: 1, others: 0, bytes: 2, newBytes: 2, storedBytes: 2 },
    failed: 0,
    program: 'test',
    ...over,
  };
}

const ids = (): string[] => index.log.snapshots().map((row) => row.id);

test('snapshots are listed in order with their bodies, found by prefix, and pinned and forgotten', () => {
  const a = apply('1/1', snapshot('r'));
  const b = apply('1/2', snapshot('q'));
  apply('1/3', { type: 'pin', snapshot: a, reason: 'keep' });
  expect(ids()).toEqual([a, b]);
  expect(index.log.snapshots({ root: 'q' }).map((row) => row.id)).toEqual([b]);
  expect(index.log.findSnapshots(a.slice(0, 7))[0]).toMatchObject({
    id: a,
    pinned: 'keep',
    forgotten: false,
    branch: false,
    seq: 1,
  });
  expect(index.log.findSnapshots(a.slice(0, 7))[0]!.body.entry.mtimeNs).toBe(-3n);
  expect(index.log.findSnapshots('xyz')).toEqual([]);
  apply('1/4', { type: 'unpin', snapshot: a });
  apply('1/5', { type: 'forget', snapshot: b });
  expect(ids()).toEqual([a]);
  expect(index.log.snapshots()[0]!.pinned).toBeUndefined();
  expect(index.log.snapshots({ includeForgotten: true })).toHaveLength(2);
  expect(index.log.positions()).toEqual([{ agent, position: expect.objectContaining({ incarnation: 1, seq: 5 }) }]);
});

test('what one agent forgets or pins says nothing about another one', () => {
  const a = apply('1/1', snapshot('r'));
  apply('1/1', { type: 'forget', snapshot: a }, '55'.repeat(16));
  apply('1/2', { type: 'pin', snapshot: a, reason: 'mine' }, '55'.repeat(16));
  expect(index.log.snapshots()[0]).toMatchObject({ id: a, forgotten: false, pinned: undefined });
});

test('a chain that names a snapshot of another agent, before or behind it, takes nothing from it and damages nothing', () => {
  const evil = '33'.repeat(16);
  const body = snapshot('r', { timeNs: 9n });
  const id = hashOf(
    `${agent}/1/1/${JSON.stringify(body, (_k, value) => (typeof value === 'bigint' ? `${value}` : value))}`,
  );
  const named = { chain: chainOf(evil), incarnation: 1, seq: 1, shard: 1, link: id };
  // As an item of a record checkpoint: its place is what the checkpoint says.
  index.log.applyRecord(named, snapshot('r', { stats: { ...body.stats, files: 0 } }));
  apply('1/2', { type: 'damaged', snapshots: [id] }, evil);
  expect(index.log.findSnapshots(id.slice(0, 8))).toMatchObject([{ agent: evil }]);
  expect(apply('1/1', body)).toBe(id);
  const isTheirs = { id, agent, damaged: false, body: { timeNs: 9n, stats: { files: 1 } } };
  expect(index.log.snapshot(id)).toMatchObject(isTheirs);
  expect(index.log.findSnapshots(id.slice(0, 8))).toMatchObject([isTheirs]);
  expect(index.log.latestSnapshot(agent, 'r')).toMatchObject(isTheirs);
  expect(index.log.snapshots({ agent })).toMatchObject([isTheirs]);
  expect(index.log.countSnapshots({ agent, damaged: true })).toBe(0);
  apply('1/3', { type: 'damaged', snapshots: [id] });
  expect(index.log.snapshot(id)).toMatchObject({ agent, damaged: true });
});

test('entries behind the base of a takeover are a branch: what it forgot and pinned does not count on the trail', () => {
  const a = apply('1/1', snapshot('r'));
  const b = apply('1/2', snapshot('r', { timeNs: 6n }));
  apply('1/3', { type: 'forget', snapshot: a });
  apply('1/4', { type: 'pin', snapshot: b, reason: 'mine' });
  const { chain } = index.chainTable.followed(agent)!;
  index.transaction(() => {
    index.chainTable.split(chain, 1, (row) => row);
    index.log.clearMarks(chain);
  });
  const c = apply('2/2', snapshot('r', { timeNs: 7n }));
  expect(index.log.snapshots().map((row) => [row.id, row.branch, row.pinned])).toEqual([
    [a, false, undefined],
    [c, false, undefined],
    [b, true, 'mine'],
  ]);
  expect(index.log.latestSnapshot(agent, 'r')?.id).toBe(c);
  expect(index.log.snapshots({ onTrail: true })).toHaveLength(2);
});

test('a snapshot of an older incarnation that a checkpoint names is older, whatever its seq', () => {
  const a = apply('1/1', snapshot('r'));
  apply('2/2', { type: 'settings', settings: { agentName: 'n', site: 's', configJson: '{}', roots: [] } });
  const { chain } = index.chainTable.followed(agent)!;
  const old = 'ab'.repeat(32);
  index.log.applyRecord({ chain, incarnation: 1, seq: 8, shard: 1, link: old }, snapshot('r', { unfinished: true }));
  expect(index.log.latestSnapshot(agent, 'r')?.id).toBe(old);
  const c = apply('2/3', snapshot('r', { timeNs: 7n }));
  expect(index.log.latestSnapshot(agent, 'r')?.id).toBe(c);
  expect(index.log.latestOfRoots(agent).map(({ id }) => id)).toEqual([c]);
  expect(index.log.snapshots().map(({ id }) => id)).toEqual([a, c]);
  // A takeover from behind the checkpoint leaves what the checkpoint named with the chain that goes on.
  index.transaction(() => index.chainTable.split(chain, 2, (row) => row));
  expect(index.log.snapshots({ includeForgotten: true }).map((row) => [row.id, row.branch])).toEqual([
    [a, false],
    [old, false],
    [c, true],
  ]);
});

test('the newest of a root, counts and pages are looked up', () => {
  const a = apply('1/1', snapshot('r'));
  const b = apply('1/2', snapshot('r', { timeNs: 6n }));
  const q = apply('1/3', snapshot('q'));
  const settings = {
    agentName: 'n',
    site: 's',
    configJson: '{}',
    roots: [{ name: 'r', path: new Uint8Array([1]), shard: 4 }],
  };
  apply('1/4', { type: 'settings', settings });
  expect(index.log.latestSnapshot(agent, 'r')?.id).toBe(b);
  expect(index.log.latestSnapshot(agent, 'none')).toBeUndefined();
  expect(index.log.latestOfRoots(agent).map(({ id, root }) => [id, root])).toEqual([
    [q, 'q'],
    [b, 'r'],
  ]);
  expect(index.log.countSnapshots({ agent })).toBe(3);
  expect(index.log.summaries({ agent, root: 'r' })).toMatchObject([{ id: a }, { id: b, root: 'r', timeNs: 6n }]);
  expect(index.log.snapshot(a)?.body.root).toBe('r');
  expect(index.log.settingsOf(agent)).toEqual(settings);
  expect(index.log.settingsOf('66'.repeat(16))).toBeUndefined();
  expect(index.log.highestShard(agent)).toBe(4);
});

test('a damaged mark of the same agent stays, whatever chain or branch its record is in', () => {
  const a = apply('1/1', snapshot('r'));
  apply('1/2', snapshot('r'));
  apply('1/3', { type: 'damaged', snapshots: [a] });
  index.transaction(() => index.chainTable.split(chainOf(agent), 2, (row) => row));
  expect(index.log.snapshots()[0]).toMatchObject({ id: a, damaged: true });
  expect(index.log.countSnapshots({ agent, damaged: true })).toBe(1);
});

test('a snapshot of a first sync under way is shown until a later one replaces it', () => {
  const first = apply('1/1', snapshot('r', { unfinished: true }));
  expect(ids()).toEqual([first]);
  const second = apply('1/2', snapshot('r', { unfinished: true, timeNs: 6n }));
  expect(ids()).toEqual([second]);
  const done = apply('1/3', snapshot('r', { timeNs: 7n }));
  expect(ids()).toEqual([done]);
});
