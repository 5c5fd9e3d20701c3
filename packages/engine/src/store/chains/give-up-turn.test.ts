/** Giving up chunks in one turn of the own chain (docs/chain.md 2.10): what is appended, and when nothing is. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EntryKind } from '../../chain/entry-head.ts';
import { decodeRelease } from '../../chain/forms.ts';
import type { Position } from '../../chain/position.ts';
import { armFailpoints } from '../../core/failpoint.ts';
import type { ChainEntry, GoneChunk } from '../../ports/chains.ts';
import { makeForm } from '../../testing/chain-writer.ts';
import {
  FIXTURE_SELF,
  madeChunk,
  type OpenedStore,
  openStore,
  storeChunks,
  temporaryFolder,
} from '../../testing/store-fixture.ts';
import { createTreeFixture } from '../../testing/tree-fixture.ts';

const fixture = await createTreeFixture('give up turn');
let folder: ReturnType<typeof temporaryFolder>;
let store: OpenedStore;
let snapshot: Position;

const idOf = (n: number) => makeForm(n).id;
const held = (shard: number, ...ns: number[]): number[] => [...store.chains.isHeld(FIXTURE_SELF, shard, ns.map(idOf))];
const capture = (timeNs: bigint): Promise<Position> =>
  store.chain.append({ ...fixture.body(fixture.dir('', [])), timeNs }, 1);

async function entries(): Promise<ChainEntry[]> {
  const out: ChainEntry[] = [];
  for await (const entry of store.chains.entries(FIXTURE_SELF)) out.push(entry);
  return out;
}

beforeEach(async () => {
  folder = temporaryFolder();
  store = await openStore(folder.path);
  await store.chain.add(1, [makeForm(1), makeForm(2), makeForm(3)]);
  await store.chain.add(2, [makeForm(1)]);
  snapshot = await capture(1n);
});
afterEach(() => {
  store.close();
  folder.remove();
});

const giveUp = (ids: readonly number[], over: { walked?: Position; mayGo?: (chunk: GoneChunk) => boolean } = {}) =>
  store.chain.giveUp({
    walked: over.walked ?? store.chain.position()!,
    chunks: ids.map((n) => ({ id: idOf(n), snapshots: [snapshot.link] })),
    mayGo: over.mayGo ?? (() => true),
    voidRows: () => store.index.chunks.voidRows(),
  });
const isDamaged = (): boolean => store.index.log.snapshot(snapshot.link)!.damaged;

test('the record stands before a release in each shard, and all of it outlives a restart', async () => {
  const epoch = store.index.chunks.lossEpoch();
  const done = await giveUp([1, 2]);
  expect(done).toMatchObject({ hasMoved: false, snapshots: [snapshot.link] });
  expect([held(1, 1, 2, 3), held(2, 1)]).toEqual([[0, 0, 1], [0]]);
  expect(isDamaged()).toBe(true);
  expect(store.index.chunks.lossEpoch()).toBeGreaterThan(epoch);
  const added = (await entries()).filter(({ head }) => head.header.seq > snapshot.seq);
  expect(added.map(({ head }) => [head.header.kind, head.header.shard])).toEqual([
    [EntryKind.record, 0],
    [EntryKind.release, 1],
    [EntryKind.release, 2],
  ]);
  expect(
    decodeRelease(added[1]!.body!)
      .map((id) => Buffer.from(id).toString('hex'))
      .sort(),
  ).toEqual([1, 2].map((n) => Buffer.from(idOf(n)).toString('hex')).sort());
  store.close();
  store = await openStore(folder.path);
  expect([held(1, 1, 2, 3), held(2, 1), isDamaged()]).toEqual([[0, 0, 1], [0], true]);
  // It comes back: an ordinary add.
  await store.chain.add(1, [makeForm(1)]);
  await store.chain.sync();
  expect(held(1, 1)).toEqual([1]);
  expect(isDamaged()).toBe(true);
});

test('nothing is appended when the chain went on since the walk: adds that wait count as well', async () => {
  const walked = store.chain.position()!;
  await store.chain.add(1, [makeForm(4)]);
  expect(await giveUp([1], { walked })).toMatchObject({ hasMoved: true, chunks: [] });
  const newer = await capture(2n);
  expect(await giveUp([1], { walked })).toMatchObject({ hasMoved: true });
  expect(store.chain.position()).toEqual(newer);
  expect([held(1, 1), isDamaged()]).toEqual([[1], false]);
});

test('a chunk that a session claims stays, and so does one that came back', async () => {
  const before = store.chain.position();
  // A look-up claims what is here; one session is enough.
  const session = store.index.chunks.beginSession('capture');
  const chunk = madeChunk();
  await storeChunks(store, [chunk]);
  store.index.chunks.claim(session, [chunk.id]);
  const done = await store.chain.giveUp({
    walked: before!,
    chunks: [{ id: chunk.id, snapshots: [snapshot.link] }],
    mayGo: () => true,
    voidRows: () => {},
  });
  expect(done.chunks).toEqual([]);
  store.index.chunks.endSession(session);
  expect((await giveUp([1, 2], { mayGo: () => false })).chunks).toEqual([]);
  expect(store.chain.position()).toEqual(before);
  expect(isDamaged()).toBe(false);
});

test('a form that is added again stands behind the release, in the same append', async () => {
  const again = makeForm(1, 9);
  await store.chain.giveUp({
    walked: store.chain.position()!,
    chunks: [{ id: idOf(1), snapshots: [snapshot.link], again }],
    mayGo: () => true,
    voidRows: () => {},
  });
  const kinds = (await entries())
    .filter(({ head }) => head.header.seq > snapshot.seq)
    .map(({ head }) => head.header.kind);
  expect(kinds).toEqual([EntryKind.record, EntryKind.release, EntryKind.release, EntryKind.add, EntryKind.add]);
  expect([held(1, 1), held(2, 1), isDamaged()]).toEqual([[1], [1], true]);
  const forms = store.chains.heldForms(FIXTURE_SELF, [idOf(1)])[0]!;
  expect(forms.every(({ sealedSha256 }) => Buffer.from(sealedSha256).equals(again.sealedSha256))).toBe(true);
});

test('a failed fsync: all of it or the record alone is there, and the next turn goes on', async () => {
  const disarm = armFailpoints((name) => {
    if (name === 'chain.synced') throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });
  });
  await expect(giveUp([1])).rejects.toMatchObject({ code: 'E_IO' });
  disarm();
  await capture(2n);
  expect(isDamaged()).toBe(held(1, 1)[0] === 0);
  await giveUp([1]);
  expect([held(1, 1), held(2, 1), isDamaged()]).toEqual([[0], [0], true]);
});
