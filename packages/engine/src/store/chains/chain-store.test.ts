import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type EntryHeader, EntryKind, encodeEntry, positionOf } from '../../chain/entry-head.ts';
import { type Form, isDelta } from '../../chain/forms.ts';
import { type HoldState, holdStateOf } from '../../chain/hold-state.ts';
import type { Position } from '../../chain/position.ts';
import { encodeCheckpointEntries } from '../../chain/record-checkpoint.ts';
import { loadSodium } from '../../codec/sodium.ts';
import { toHex } from '../../core/ids.ts';
import type { SnapshotBody } from '../../log/record-body.ts';
import type { ChainEntry, OwnerKeys } from '../../ports/chains.ts';
import { arbitrarySnapshot } from '../../testing/arbitrary-record.ts';
import { type ChainWriter, chainWriter, makeForm, makeFormOfKey } from '../../testing/chain-writer.ts';
import { createSeededRandom, randomFraction } from '../../testing/seeded-random.ts';
import {
  FIXTURE_SELF,
  FIXTURE_VAULT,
  madeChunk,
  type OpenedStore,
  openStore,
  storeChunks,
  temporaryFolder,
} from '../../testing/store-fixture.ts';
import type { CardOfTakeover } from './chains-deps.ts';
import { verifyFiles } from './verify-files.ts';

const sodium = await loadSodium();

let folder: ReturnType<typeof temporaryFolder>;
let store: OpenedStore;
let owner: ChainWriter;
let keys: OwnerKeys;

beforeEach(async () => {
  folder = temporaryFolder();
  owner = chainWriter('owner', { vault: FIXTURE_VAULT });
  keys = { agent: owner.agent, incarnation: 1, signPublicKey: () => owner.signPublicKey };
  store = await open();
});

afterEach(() => {
  store.close();
  folder.remove();
});

const open = (): Promise<OpenedStore> =>
  openStore(folder.path, {
    signPublicKey: (agent) => (agent === owner.agent ? owner.signPublicKey : undefined),
    fileBytes: 4000,
    openCard,
  });

/** A card in these tests is the JSON of what is read from it. */
const openCard = (body: Uint8Array): CardOfTakeover => ({
  agentId: owner.agent,
  signPublicKey: owner.signPublicKey,
  ...(JSON.parse(Buffer.from(body).toString()) as { incarnation: number; base?: Position }),
  base: (JSON.parse(Buffer.from(body).toString()) as { base?: Position }).base,
});

const cardOf = (incarnation: number, base?: Position): Uint8Array => Buffer.from(JSON.stringify({ incarnation, base }));

async function reopen(): Promise<void> {
  store.close();
  store = await open();
}

/** The last ones have one key, and more forms than are listed of it. */
const formOfNumber: typeof makeForm = (n, ...more) => (n < 20 ? makeForm : makeFormOfKey)(n, ...more);

test('random chains: the index holds what the reference function says, live, after a restart, and after a rebuild', async () => {
  const random = createSeededRandom('chains');
  const pick = (count: number): number => Math.floor(randomFraction(random) * count);
  for (let entry = 0; entry < 120; entry++) {
    const kind = pick(10);
    if (kind < 6)
      owner.add(
        1 + pick(2),
        Array.from({ length: 1 + pick(4) }, () =>
          formOfNumber(pick(26), 1 + pick(7), { formClass: pick(6) === 0 ? 'data-delta' : 'data' }),
        ),
      );
    else if (kind < 9)
      owner.release(
        1 + pick(2),
        Array.from({ length: 1 + pick(3) }, () => formOfNumber(pick(26)).id),
      );
    else owner.record();
  }
  let given = 0;
  while (given < owner.entries.length) {
    const some = owner.entries.slice(given, given + 1 + pick(30));
    await store.chains.take(keys, some);
    given += some.length;
    expectHolds(holdStateOf(owner.entries.slice(0, given)));
  }
  await reopen();
  expectHolds(holdStateOf(owner.entries));
  store.close();
  const { rmSync } = await import('node:fs');
  for (const part of ['', '-wal', '-shm']) rmSync(store.dataDir.indexFile + part, { force: true });
  store = await open();
  expect(store.reconciled.rebuilt).toBe(true);
  expectHolds(holdStateOf(owner.entries));
  expect(await all(store.chains.entries(owner.agent))).toEqual(owner.entries.map(whole));
});

function expectHolds(state: HoldState): void {
  for (const shard of [1, 2]) {
    const holds = state.get(shard) ?? new Map();
    const ids = Array.from({ length: 26 }, (_, n) => formOfNumber(n).id);
    const held = store.chains.isHeld(owner.agent, shard, ids);
    const placed = store.chains.holdsOf(owner.agent, ids);
    for (const [n, id] of ids.entries()) {
      const expected = holds.get(toHex(id));
      expect(held[n], `id ${n} in shard ${shard}`).toBe(expected === undefined ? 0 : 1);
      expect(placed[n]!.find((one) => one.shard === shard)?.seq).toBe(expected?.addedSeq);
      const forms = store.index.holds.formsOf(store.index.chainTable.followed(owner.agent)!.chain, shard, id);
      expect(forms.map(({ form }) => toHex(form.sealedSha256))).toEqual(
        (expected?.forms ?? []).map((form: Form) => toHex(form.sealedSha256)),
      );
      expect(forms.slice(1).some(({ form }) => isDelta(form))).toBe(false);
    }
    const counts = store.chains.shards(owner.agent).find((one) => one.shard === shard);
    expect(counts?.held ?? 0).toBe(holds.size);
    expect(counts === undefined ? 0 : counts.wanted + counts.lost + counts.unreadable).toBe(holds.size);
  }
}

test('entries are taken in order only; known ones are passed over; another one at a place is a fork, kept as proof', async () => {
  const [first, second] = [owner.record(), owner.add(1, [makeForm(1)])];
  await expect(store.chains.take(keys, [second])).rejects.toMatchObject({ code: 'E_FAILED', retryable: true });
  expect(await store.chains.take(keys, [first])).toEqual(positionOf(first.head));
  expect(await store.chains.take(keys, [first, second])).toEqual(positionOf(second.head));
  owner.position = positionOf(first.head);
  const other = owner.add(1, [makeForm(2)]);
  await expect(store.chains.take(keys, [other])).rejects.toMatchObject({ code: 'E_FORK' });
  const third = owner.record();
  await expect(store.chains.take(keys, [third])).rejects.toMatchObject({ code: 'E_FORK' });
  expect(store.chains.position(owner.agent)).toEqual(positionOf(second.head));
});

test('a header that its agent did not sign is refused, and so is a body of another digest', async () => {
  const entry = owner.add(1, [makeForm(1)]);
  const stranger = chainWriter('stranger', { vault: FIXTURE_VAULT });
  const wrongKey = { ...keys, signPublicKey: () => stranger.signPublicKey };
  await expect(store.chains.take(wrongKey, [entry])).rejects.toMatchObject({ code: 'E_INTEGRITY' });
  const body = new Uint8Array(entry.body);
  body[3]! ^= 1;
  await expect(store.chains.take(keys, [{ head: entry.head, body }])).rejects.toMatchObject({ code: 'E_INTEGRITY' });
  expect(store.chains.position(owner.agent)).toBeUndefined();
});

test('a body that comes late is applied with what waited behind it, also after a rebuild', async () => {
  const first = owner.add(1, [makeForm(1)]);
  const second = owner.add(1, [makeForm(2)]);
  const third = owner.add(2, [makeForm(3)]);
  await store.chains.take(keys, [headOnly(first), second, third]);
  expect(store.chains.shards(owner.agent).map(({ shard, applied }) => [shard, applied])).toEqual([
    [1, 0],
    [2, 3],
  ]);
  expect(store.chains.missingBodies(owner.agent, 1, 10)).toEqual([1]);
  await expect(store.chains.takeBodies(owner.agent, [{ seq: 1, body: second.body }])).rejects.toMatchObject({
    code: 'E_INTEGRITY',
  });
  await store.chains.takeBodies(owner.agent, [{ seq: 1, body: first.body }]);
  const expectAll = (): void => {
    expect(store.chains.missingBodies(owner.agent, 1, 10)).toEqual([]);
    expectHolds(holdStateOf(owner.entries));
  };
  expectAll();
  await reopen();
  expectAll();
  store.close();
  const { rmSync } = await import('node:fs');
  for (const part of ['', '-wal', '-shm']) rmSync(store.dataDir.indexFile + part, { force: true });
  store = await open();
  expectAll();
});

test('only bodies of hold entries may be absent', async () => {
  await expect(store.chains.take(keys, [headOnly(owner.record())])).rejects.toMatchObject({ code: 'E_INTEGRITY' });
});

test('a frame of a listed form satisfies a hold; one that this store identified does too; a lost one is lost', async () => {
  const chunks = [madeChunk(100), madeChunk(200, 'data', false), madeChunk(300)];
  const forms = chunks.map(({ id, sha256, bytes }) => ({
    ...makeForm(1),
    id: new Uint8Array(id),
    sealedSha256: new Uint8Array(sha256),
    sealedBytes: bytes.length,
  }));
  await storeChunks(store, [chunks[0]!]);
  owner.add(1, forms);
  await store.chains.take(keys, owner.entries);
  const counts = () => {
    const { wanted, lost, unreadable, whole, applied } = store.chains.shards(owner.agent)[0]!;
    return { wanted, lost, unreadable, whole, applied };
  };
  expect(counts()).toEqual({ wanted: 2, lost: 0, unreadable: 0, whole: 0, applied: 1 });
  expect(store.chains.unsatisfied(owner.agent, 1, 0, 10)).toEqual([{ seq: 1, positions: [1, 2] }]);
  await storeChunks(store, chunks.slice(1));
  expect(counts()).toEqual({ wanted: 0, lost: 0, unreadable: 0, whole: 1, applied: 1 });
  const epoch = store.identityOfStore.epoch();
  const copy = store.index.chunks.locate([chunks[1]!.id])[0]![0]!;
  store.index.chunks.forgetPack(copy.pack);
  expect(counts()).toMatchObject({ wanted: 0, lost: 2, whole: 0 });
  expect(store.identityOfStore.epoch()).toBeGreaterThan(epoch);
  const list = store.chains.unsatisfiedList(owner.agent, 1, 10)!;
  expect(list.map(({ reason }) => reason)).toEqual(['lost', 'lost']);
  expect(Buffer.compare(list[0]!.id, list[1]!.id)).toBe(-1);
  expect(store.chains.unsatisfiedList(owner.agent, 1, 1)).toBeUndefined();
});

test('another owner’s unidentified frame of other bytes satisfies nothing', async () => {
  const chunk = madeChunk(100, 'data', false);
  await storeChunks(store, [chunk]);
  owner.add(1, [{ ...makeForm(1), id: new Uint8Array(chunk.id) }]);
  await store.chains.take(keys, owner.entries);
  expect(store.chains.shards(owner.agent)[0]).toMatchObject({ wanted: 1 });
  const copy = store.index.chunks.locate([chunk.id])[0]![0]!;
  store.index.chunks.noteIdentified([{ id: chunk.id, pack: copy.pack }]);
  expect(store.chains.shards(owner.agent)[0]).toMatchObject({ wanted: 0, whole: 1 });
  // The same when the frame comes after the hold.
  const later = madeChunk(100, 'data', false);
  owner.add(1, [{ ...makeForm(2), id: new Uint8Array(later.id) }]);
  await store.chains.take(keys, owner.entries);
  await storeChunks(store, [later]);
  expect(store.chains.shards(owner.agent)[0]).toMatchObject({ wanted: 1, whole: 1 });
});

test('a takeover whose base lies before the end freezes what is behind it: the branch keeps its entries and holds', async () => {
  owner.takeover(cardOf(1));
  owner.add(1, [makeForm(1), makeForm(2)]);
  const base = owner.position!;
  owner.release(1, [makeForm(1).id]);
  owner.add(1, [makeForm(3)]);
  const tip = owner.position!;
  store.close();
  store = await openStore(folder.path, {
    fileBytes: 600,
    signPublicKey: () => owner.signPublicKey,
    openCard,
  });
  await store.chains.take(keys, owner.entries.slice(1 - 1));
  const old = [...owner.entries];
  owner.incarnation = 2;
  owner.position = base;
  const takeover = owner.takeover(cardOf(2, base));
  const more = owner.add(1, [makeForm(4)]);
  await store.chains.take(keys, [takeover, more]);
  const expectSplit = async (): Promise<void> => {
    expect(store.chains.branches(owner.agent)).toEqual([{ agent: owner.agent, tip, base }]);
    expectHeld([1, 2, 4]);
    expect(await all(store.chains.entries(owner.agent))).toEqual([...old.slice(0, 2), takeover, more].map(whole));
    expect(await all(store.chains.branchEntries(owner.agent, tip.link))).toEqual(old.slice(2).map(whole));
    const branch = store.index.chainTable.rows().find((row) => row.parent !== undefined)!;
    const inBranch = [1, 2, 3, 4].filter((n) => store.index.holds.isHeld(branch.chain, 1, [makeForm(n).id])[0] === 1);
    expect(inBranch).toEqual([2, 3]);
  };
  await expectSplit();
  store.close();
  const { rmSync } = await import('node:fs');
  for (const part of ['', '-wal', '-shm']) rmSync(store.dataDir.indexFile + part, { force: true });
  store = await openStore(folder.path, {
    fileBytes: 600,
    signPublicKey: () => owner.signPublicKey,
    openCard,
  });
  await expectSplit();
  await store.chains.take(keys, [owner.dropBranch(tip.link)]);
  expect(store.chains.branches(owner.agent)).toEqual([]);
});

test('a takeover whose trail leaves the own one earlier: with all entries up to it in one go the end here is a branch, else a fork', async () => {
  owner.takeover(cardOf(1));
  const shared = owner.add(1, [makeForm(1)]);
  const common = owner.position!;
  owner.add(1, [makeForm(2)]);
  const tip = owner.position!;
  await store.chains.take(keys, owner.entries);
  // Another machine went on from the shared entry, and was taken over.
  owner.position = common;
  const beside = owner.add(1, [makeForm(3)]);
  const base = owner.position!;
  owner.incarnation = 2;
  const takeover = owner.takeover(cardOf(2, base));
  await expect(store.chains.take(keys, [beside])).rejects.toMatchObject({ code: 'E_FORK' });
  expect(store.chains.position(owner.agent)).toEqual(tip);
  await store.chains.take(keys, [shared, beside, takeover]);
  expect(store.chains.branches(owner.agent)).toEqual([{ agent: owner.agent, tip, base: common }]);
  expectHeld([1, 3]);
  expect(store.chains.position(owner.agent)).toEqual(positionOf(takeover.head));
});

test('two takeovers of one incarnation are a fork, at whatever seq; the first one is followed on', async () => {
  owner.takeover(cardOf(1));
  const base = owner.position!;
  owner.record();
  await store.chains.take(keys, owner.entries);
  const last = owner.position!;
  owner.incarnation = 2;
  const takeover = owner.takeover(cardOf(2, last));
  await store.chains.take(keys, [takeover]);
  owner.position = base;
  const twin = owner.takeover(cardOf(2, base));
  await expect(store.chains.take(keys, [twin])).rejects.toMatchObject({ code: 'E_FORK' });
  owner.position = positionOf(takeover.head);
  const next = owner.record();
  await store.chains.take(keys, [next]);
  expect(store.chains.position(owner.agent)).toEqual(positionOf(next.head));
});

test('an older incarnation writes nothing behind its successor, even where it follows the last entry', async () => {
  owner.takeover(cardOf(1));
  owner.incarnation = 2;
  owner.takeover(cardOf(2, owner.position!));
  await store.chains.take(keys, owner.entries);
  const last = owner.position!;
  const { head, body } = owner.record();
  const older = resigned(head.header, 1, body);
  await expect(store.chains.take(keys, [older])).rejects.toMatchObject({ code: 'E_ROLLBACK' });
  expect(store.chains.position(owner.agent)).toEqual(last);
});

test('a snapshot that a record checkpoint calls damaged is damaged at every store that reads it', async () => {
  owner.takeover(cardOf(1));
  const [{ unfinished: _, ...body }] = fc.sample(arbitrarySnapshot, { seed: 5, numRuns: 1 }) as [SnapshotBody];
  const snapshots = [1, 2].map((n) => {
    const id = `${n}`.repeat(64);
    return { id, incarnation: 1, seq: n, shard: 1, damaged: n === 2, body: { ...body, timeNs: 5n } };
  });
  const checkpoint = encodeCheckpointEntries(sodium, {
    writer: owner,
    after: owner.position!,
    checkpoint: { snapshots, pins: [], settings: undefined },
    keys: owner.keys,
    signSeed: owner.signSeed,
    random: createSeededRandom('checkpoint'),
  });
  await store.chains.take(keys, [...owner.entries, ...checkpoint]);
  const damaged = () => store.index.log.snapshots().map((one) => [one.id, one.damaged]);
  expect(damaged()).toEqual(snapshots.map((one) => [one.id, one.damaged]));
});

test('below the floor headers, records and releases are taken, and bodies of adds wait', async () => {
  let freeBytes = 0;
  store.close();
  store = await openStore(folder.path, {
    signPublicKey: () => owner.signPublicKey,
    openCard,
    freeSpace: async () => ({ freeBytes, floorBytes: 1000 }),
  });
  const add = owner.add(1, [makeForm(1)]);
  owner.release(2, [makeForm(9).id]);
  owner.record();
  await store.chains.take(keys, owner.entries);
  expect(store.chains.position(owner.agent)?.seq).toBe(3);
  expect(store.chains.missingBodies(owner.agent, 1, 10)).toEqual([1]);
  expect(store.chains.shards(owner.agent)).toMatchObject([
    { shard: 1, applied: 0 },
    { shard: 2, applied: 3 },
  ]);
  await expect(store.chains.takeBodies(owner.agent, [{ seq: 1, body: add.body }])).rejects.toMatchObject({
    code: 'E_NO_SPACE',
  });
  freeBytes = 600;
  await store.chains.takeBodies(owner.agent, [{ seq: 1, body: add.body }]);
  expect(store.chains.shards(owner.agent)[0]).toMatchObject({ applied: 3, held: 1 });
});

function expectHeld(ids: readonly number[]): void {
  const held = [1, 2, 3, 4].filter((n) => store.chains.isHeld(owner.agent, 1, [makeForm(n).id])[0] === 1);
  expect(held).toEqual(ids);
}

test('one damaged byte is a problem of its range: the rest is read, and the body can come again', async () => {
  for (let n = 0; n < 5; n++) owner.add(1, [makeForm(n)]);
  store.close();
  store = await openStore(folder.path, { signPublicKey: () => owner.signPublicKey });
  await store.chains.take(keys, owner.entries);
  const row = store.index.chainTable.entry(store.index.chainTable.followed(owner.agent)!.chain, 3)!;
  store.close();
  const { openSync, readSync, rmSync, writeSync, closeSync } = await import('node:fs');
  const dir = `${store.dataDir.chainsDir}/${owner.agent}`;
  const file = openSync(`${dir}/${readdirSync(dir)[0]}`, 'r+');
  const byte = Buffer.alloc(1);
  readSync(file, byte, 0, 1, row.bodyAt! + 40);
  byte[0]! ^= 1;
  writeSync(file, byte, 0, 1, row.bodyAt! + 40);
  closeSync(file);
  for (const part of ['', '-wal', '-shm']) rmSync(store.dataDir.indexFile + part, { force: true });
  store = await openStore(folder.path, { signPublicKey: () => owner.signPublicKey });
  expect(store.chains.problems()).toHaveLength(1);
  expect(store.chains.position(owner.agent)?.seq).toBe(5);
  expect(store.chains.missingBodies(owner.agent, 1, 10)).toEqual([3]);
  expect(store.chains.shards(owner.agent)[0]).toMatchObject({ applied: 2, held: 2 });
  await store.chains.takeBodies(owner.agent, [{ seq: 3, body: owner.entries[2]!.body }]);
  expect(store.chains.problems()).toEqual([]);
  expect(store.chains.shards(owner.agent)[0]).toMatchObject({ applied: 5, held: 5 });
});

test('a damaged header in a rebuilt index: nothing behind it is stated as applied or whole until it is mended', async () => {
  const { openSync, readSync, rmSync, writeSync, closeSync } = await import('node:fs');
  for (let n = 0; n < 5; n++) owner.add(1, [makeForm(n)]);
  store.close();
  store = await openStore(folder.path, { signPublicKey: () => owner.signPublicKey });
  await store.chains.take(keys, owner.entries);
  const row = store.index.chainTable.entry(store.index.chainTable.followed(owner.agent)!.chain, 3)!;
  store.close();
  const dir = `${store.dataDir.chainsDir}/${owner.agent}`;
  const file = openSync(`${dir}/${readdirSync(dir)[0]}`, 'r+');
  const byte = Buffer.alloc(1);
  readSync(file, byte, 0, 1, row.offset + 34);
  byte[0]! ^= 1;
  writeSync(file, byte, 0, 1, row.offset + 34);
  closeSync(file);
  for (const part of ['', '-wal', '-shm']) rmSync(store.dataDir.indexFile + part, { force: true });
  store = await openStore(folder.path, { signPublicKey: () => owner.signPublicKey });
  expect(store.chains.position(owner.agent)?.seq).toBe(5);
  expect(store.chains.shards(owner.agent)[0]).toMatchObject({ applied: 2 });
});

test('a damaged body whose row the index still has: once it is seen, nothing behind it is stated as applied', async () => {
  for (let n = 0; n < 5; n++) owner.add(1, [makeForm(n)]);
  await store.chains.take(keys, owner.entries);
  const row = store.index.chainTable.entry(store.index.chainTable.followed(owner.agent)!.chain, 3)!;
  const dir = `${store.dataDir.chainsDir}/${owner.agent}`;
  const [name] = readdirSync(dir).filter((one) => one.endsWith('.chain'));
  const bytes = readFileSync(`${dir}/${name}`);
  bytes[row.bodyAt! + 10]! ^= 1;
  writeFileSync(`${dir}/${name}`, bytes);
  await verifyFiles(store.chains.followed(owner.agent));
  expect(store.chains.shards(owner.agent)[0]).toMatchObject({ applied: 2 });
  bytes[row.bodyAt! + 10]! ^= 1;
  writeFileSync(`${dir}/${name}`, bytes);
  await verifyFiles(store.chains.followed(owner.agent));
  expect(store.chains.shards(owner.agent)[0]).toMatchObject({ applied: 5 });
});

test('the own chain: what is added is held when a record behind it is durable, and a second add of it changes nothing', async () => {
  const forms = [makeForm(1), makeForm(2)];
  await store.chain.add(1, forms);
  expect(store.chain.position()).toBeUndefined();
  const record = await store.chain.append({ type: 'unpin', snapshot: 'aa'.repeat(32) });
  expect(record.seq).toBe(2);
  expect([
    ...store.chains.isHeld(
      FIXTURE_SELF,
      1,
      forms.map(({ id }) => id),
    ),
  ]).toEqual([1, 1]);
  await store.chain.add(1, forms);
  await store.chain.add(2, [forms[0]!]);
  await store.chain.sync();
  expect(store.chain.position()?.seq).toBe(3);
  const kinds: EntryKind[] = [];
  for await (const { head } of store.chains.entries(FIXTURE_SELF)) kinds.push(head.header.kind);
  expect(kinds).toEqual([EntryKind.add, EntryKind.record, EntryKind.add]);
});

test('a release skips what a session claims and what was added after the walk; a marked id is unknown to look-ups', async () => {
  const chunks = Array.from({ length: 4 }, () => madeChunk(50));
  await storeChunks(store, chunks);
  const forms = chunks.map(({ id, sha256, bytes }) => ({
    ...makeForm(1),
    id: new Uint8Array(id),
    sealedSha256: new Uint8Array(sha256),
    sealedBytes: bytes.length,
  }));
  await store.chain.add(1, forms.slice(0, 3));
  await store.chain.sync();
  const walked = store.chain.position()!.seq;
  await store.chain.add(1, forms.slice(3));
  await store.chain.sync();
  const session = store.index.chunks.beginSession('test');
  store.index.chunks.claim(session, [forms[0]!.id]);
  const ids = forms.map(({ id }) => id);
  expect(await store.chain.release(1, ids, walked)).toBe(2);
  expect([...store.chains.isHeld(FIXTURE_SELF, 1, ids)]).toEqual([1, 0, 0, 1]);
  store.index.chunks.endSession(session);
  const chain = store.index.chainTable.followed(FIXTURE_SELF)!.chain;
  expect(store.index.releases.mark(chain, 1, [ids[0]!], walked)).toHaveLength(1);
  const later = store.index.chunks.beginSession('later');
  expect([...store.index.chunks.claim(later, [ids[0]!, ids[3]!])]).toEqual([0, 1]);
  store.index.releases.clear();
  expect([...store.index.chunks.claim(later, [ids[0]!])]).toEqual([1]);
  store.index.chunks.endSession(later);
});

test('claims stay until every collection that was open at the end of their session has ended', async () => {
  const chunk = madeChunk(50);
  await storeChunks(store, [chunk]);
  const collection = store.index.chunks.beginCollection();
  const session = store.index.chunks.beginSession('capture', ['ab'.repeat(32)]);
  store.index.chunks.claim(session, [chunk.id]);
  const later = store.index.chunks.beginCollection();
  store.index.chunks.endSession(session);
  expect(store.index.chunks.isClaimed(chunk.id)).toBe(true);
  expect(store.index.chunks.sessions()).toMatchObject([{ snapshots: ['ab'.repeat(32)] }]);
  store.index.chunks.endCollection(collection);
  expect(store.index.chunks.isClaimed(chunk.id)).toBe(true);
  store.index.chunks.endCollection(later);
  expect(store.index.chunks.isClaimed(chunk.id)).toBe(false);
});

/** The entry as another incarnation would have written it, with the owner's key. */
function resigned(header: EntryHeader, incarnation: number, body: Uint8Array): ChainEntry {
  const { vault, agent, seq, previous, kind, shard, keyId } = header;
  const made = { vault, agent, incarnation, seq, previous, kind, shard, keyId };
  return encodeEntry(sodium, { ...made, body, signSeed: owner.signSeed });
}

function headOnly(entry: ChainEntry): ChainEntry {
  return { head: entry.head, body: undefined };
}

function whole({ head, body }: ChainEntry): unknown {
  return { seq: head.header.seq, link: head.link, body: body === undefined ? undefined : toHex(body) };
}

async function all(entries: AsyncIterable<ChainEntry>): Promise<unknown[]> {
  const out: unknown[] = [];
  for await (const entry of entries) out.push(whole(entry));
  return out;
}
