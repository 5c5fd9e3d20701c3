import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { RecordBody, RecordEnvelope, SnapshotBody } from '../log/record-body.ts';
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

function apply(place: string, body: RecordBody, of = agent): string {
  const [incarnation, seq] = place.split('/').map(Number) as [number, number];
  const hash = hashOf(
    `${of}/${place}/${JSON.stringify(body, (_k, value) => (typeof value === 'bigint' ? `${value}` : value))}`,
  );
  const envelope: RecordEnvelope = { vault, agent: of, incarnation, seq, previous: '00'.repeat(32), keyId: 1 };
  index.log.applyRecord({ ...envelope, hash }, body);
  return hash;
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
  expect(index.log.heads()).toEqual([{ agent, head: expect.objectContaining({ incarnation: 1, seq: 5 }) }]);
});

test('a record applied again changes nothing; another one in its place is a fork', () => {
  const a = apply('1/1', snapshot('r'));
  apply('1/2', { type: 'pin', snapshot: a, reason: 'x' });
  apply('1/3', { type: 'unpin', snapshot: a });
  apply('1/2', { type: 'pin', snapshot: a, reason: 'x' });
  expect(index.log.snapshots()[0]!.pinned).toBeUndefined();
  expect(() => apply('1/1', snapshot('other'))).toThrow(expect.objectContaining({ code: 'E_FORK' }));
  expect(ids()).toEqual([a]);
});

test('what one agent forgets or pins says nothing about another one', () => {
  const a = apply('1/1', snapshot('r'));
  apply('1/1', { type: 'forget', snapshot: a }, '55'.repeat(16));
  apply('1/2', { type: 'pin', snapshot: a, reason: 'mine' }, '55'.repeat(16));
  expect(index.log.snapshots()[0]).toMatchObject({ id: a, forgotten: false, pinned: undefined });
});

test('records beyond the base of a takeover are a branch, also when they come later', () => {
  const a = apply('1/1', snapshot('r'));
  const b = apply('1/2', snapshot('r', { timeNs: 6n }));
  apply('2/2', { type: 'takeover', card: new Uint8Array(3), base: { incarnation: 1, seq: 1, hash: a } });
  const c = apply('2/3', snapshot('r', { timeNs: 7n }));
  const late = apply('1/3', snapshot('r', { timeNs: 8n }));
  apply('1/4', { type: 'forget', snapshot: a });
  expect(index.log.snapshots().map((row) => [row.id, row.branch])).toEqual([
    [a, false],
    [b, true],
    [late, true],
    [c, false],
  ]);
  expect(index.log.headOf(agent)).toMatchObject({ incarnation: 2, seq: 3 });
});

test('a checkpoint stands for all before it', () => {
  const a = apply('1/1', snapshot('r'));
  const b = apply('1/2', snapshot('r', { timeNs: 6n }));
  apply('1/3', { type: 'pin', snapshot: a, reason: 'old' });
  const settings = {
    agentName: 'n',
    site: 's',
    configJson: '{}',
    roots: [{ name: 'r', path: new Uint8Array([1]), shard: 1 }],
  };
  const checkpoint = {
    head: { incarnation: 1, seq: 3, hash: hashOf('x') },
    snapshots: [
      { id: b, incarnation: 1, seq: 2, body: snapshot('r', { timeNs: 6n }) },
      { id: hashOf('unseen'), incarnation: 1, seq: 3, body: snapshot('z') },
    ],
    pins: [{ snapshot: b, reason: 'new' }],
    settings,
  };
  apply('1/4', { type: 'checkpoint', checkpoint });
  expect(index.log.snapshots().map((row) => [row.id, row.pinned])).toEqual([
    [b, 'new'],
    [hashOf('unseen'), undefined],
  ]);
  expect(index.log.settingsOf(agent)).toEqual(settings);
  expect(index.log.settingsOf('66'.repeat(16))).toBeUndefined();
});

test('a snapshot of a first sync under way is shown until a later one replaces it', () => {
  const first = apply('1/1', snapshot('r', { unfinished: true }));
  expect(ids()).toEqual([first]);
  const second = apply('1/2', snapshot('r', { unfinished: true, timeNs: 6n }));
  expect(ids()).toEqual([second]);
  const done = apply('1/3', snapshot('r', { timeNs: 7n }));
  expect(ids()).toEqual([done]);
});

test('a record that cannot be opened keeps its place in the log', () => {
  index.log.applyRecord(
    { vault, agent, incarnation: 1, seq: 1, previous: '00'.repeat(32), keyId: 1, hash: hashOf('q') },
    undefined,
  );
  expect(index.log.headOf(agent)).toEqual({ incarnation: 1, seq: 1, hash: hashOf('q') });
  expect(ids()).toEqual([]);
});
