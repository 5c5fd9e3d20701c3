import Database from 'better-sqlite3';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type ChunkId, ChunkKind, toHex } from '../core/ids.ts';
import type { SealedChunk } from '../core/ports/chunk-store.ts';
import { remakeHolds } from '../store/chains/remake-holds.ts';
import { type HolderFixture, openHolderFixture } from '../testing/holder-fixture.ts';
import { formOf, type OwnerFixture, ownerFixture } from '../testing/owner-fixture.ts';
import { temporaryFolder } from '../testing/store-fixture.ts';
import { type CheckedHolds, type CheckHoldsDeps, checkHolds } from './check-holds.ts';

let folder: ReturnType<typeof temporaryFolder>;
let owner: OwnerFixture;
let at: HolderFixture;

beforeEach(async () => {
  folder = temporaryFolder();
  owner = ownerFixture('owner');
  at = await openHolderFixture(folder.path, { ownerKey: owner.signPublicKey });
});
afterEach(() => {
  at.close();
  folder.remove();
});

async function check(chains: CheckHoldsDeps['chains'] = at.store.chains): Promise<CheckedHolds[]> {
  const out: CheckedHolds[] = [];
  for await (const shard of checkHolds(owner.agent, { chains, chunks: at.store.index.chunks })) out.push(shard);
  return out;
}

/** Three chunks that are held, of which two came. */
async function heldChunks(): Promise<SealedChunk[]> {
  const chunks = ['a', 'b', 'c'].map((text) => owner.chunk(text));
  owner.add(1, chunks.map(formOf));
  await at.holder.takeEntries(owner.ownerKeys, owner.entries);
  await at.holder.receive(
    owner.agent,
    (async function* () {
      for (const { id, keyId, packClass, bytes } of chunks.slice(1)) yield { id, keyId, packClass, sealed: bytes };
    })(),
  );
  return chunks;
}

/** As a fault of the program or the disk would leave the index. */
function inIndex(sql: string): void {
  const db = new Database(at.store.dataDir.indexFile);
  db.exec(sql);
  db.close();
}

test('chain, hold index and frames agree, also with releases, several forms and chunks that did not come', async () => {
  const chunks = Array.from({ length: 40 }, (_, i) =>
    owner.chunk(`chunk ${i}`, i % 5 === 0 ? ChunkKind.tree : ChunkKind.data),
  );
  owner.add(1, chunks.map(formOf));
  owner.release(
    1,
    chunks.slice(0, 5).map(({ id }) => id),
  );
  owner.add(1, [formOf(owner.chunk('chunk 7')), formOf(chunks[0]!)]);
  owner.add(2, chunks.slice(30).map(formOf));
  await at.holder.takeEntries(owner.ownerKeys, owner.entries);
  await at.holder.receive(
    owner.agent,
    (async function* () {
      for (const { id, keyId, packClass, bytes } of chunks.slice(6)) yield { id, keyId, packClass, sealed: bytes };
    })(),
  );
  expect(await check()).toEqual([
    { shard: 1, held: 36, lacking: 2, wrong: 0, named: [], isMiscounted: false },
    { shard: 2, held: 10, lacking: 0, wrong: 0, named: [], isMiscounted: false },
  ]);
});

test.each([
  ['a chunk is called satisfied that has no frame', 'UPDATE holds SET state = 0', { wrong: 1, isMiscounted: true }],
  ['chunks are called lost that are here', 'UPDATE holds SET state = 2', { wrong: 2, isMiscounted: true }],
  ['a row is gone', 'DELETE FROM holds WHERE position = 1', { wrong: 1, isMiscounted: false }],
  ['a row has another added seq', 'UPDATE holds SET seq = 2 WHERE position = 2', { wrong: 1, isMiscounted: false }],
  ['a chunk is held that was released', 'RELEASE', { wrong: 0, isMiscounted: true }],
  ['the counts are wrong', 'UPDATE shards SET held = 7', { wrong: 0, isMiscounted: true }],
])('an index in which %s is told, and made again from the files', async (_, sql, told) => {
  const chunks = await heldChunks();
  // Bodies of two entries, so that a row can name the wrong one.
  owner.add(1, [formOf(chunks[0]!)]);
  const rows = 'CREATE TABLE kept AS SELECT * FROM holds; CREATE TABLE counted AS SELECT * FROM shards';
  if (sql === 'RELEASE') {
    inIndex(rows);
    owner.release(1, [chunks[1]!.id]);
  }
  await at.holder.takeEntries(owner.ownerKeys, owner.entries);
  inIndex(
    sql === 'RELEASE'
      ? 'INSERT OR IGNORE INTO holds SELECT * FROM kept; UPDATE shards SET held = (SELECT held FROM counted LIMIT 1); DROP TABLE kept; DROP TABLE counted'
      : sql,
  );
  expect(await check()).toMatchObject([told]);
  const epoch = at.store.identityOfStore.epoch();
  await remakeHolds(at.store.chains.followed(owner.agent));
  expect(await check()).toMatchObject([{ wrong: 0, named: [], isMiscounted: false, lacking: 1 }]);
  expect(at.store.identityOfStore.epoch()).toBeGreaterThan(epoch);
});

test('made again, a chunk that never came is wanted as before, and one that was called satisfied is lost', async () => {
  const [wanted] = await heldChunks();
  const later = owner.chunk('later');
  owner.add(1, [formOf(later)]);
  await at.holder.takeEntries(owner.ownerKeys, owner.entries);
  inIndex('UPDATE holds SET state = 0 WHERE seq = 2');
  await remakeHolds(at.store.chains.followed(owner.agent));
  const states = new Map(
    at.store.chains.unsatisfiedList(owner.agent, 1, 10)!.map(({ id, reason }) => [toHex(id), reason]),
  );
  expect(states).toEqual(
    new Map([
      [toHex(wanted!.id), 'wanted'],
      [toHex(later.id), 'lost'],
    ]),
  );
});

test('a body that cannot be read leaves the index as it is', async () => {
  const chunks = await heldChunks();
  const isHeld = (): Uint8Array =>
    at.store.chains.isHeld(
      owner.agent,
      1,
      chunks.map(({ id }): ChunkId => id),
    );
  inIndex('UPDATE entries SET body_at = NULL WHERE kind = 2');
  await expect(remakeHolds(at.store.chains.followed(owner.agent))).rejects.toMatchObject({ code: 'E_INTEGRITY' });
  expect(isHeld()).toEqual(new Uint8Array([1, 1, 1]));
});

test('entries that come while the holds are compared are no difference', async () => {
  const chunks = await heldChunks();
  const { chains } = at.store;
  let turns = 0;
  const moving: CheckHoldsDeps['chains'] = {
    shards: (agent) => chains.shards(agent),
    parts: chains.parts,
    heldAs: (agent, shard, ids) => chains.heldAs(agent, shard, ids),
    entries: async function* (agent, options) {
      yield* chains.entries(agent, options);
      if (turns++ > 0) return;
      owner.release(1, [chunks[2]!.id]);
      owner.add(1, [formOf(owner.chunk('new'))]);
      await at.holder.takeEntries(owner.ownerKeys, owner.entries);
    },
  };
  expect(await check(moving)).toEqual([{ shard: 1, held: 3, lacking: 2, wrong: 0, named: [], isMiscounted: false }]);
});
