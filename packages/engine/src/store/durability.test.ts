/** What is acknowledged would survive a power loss: each of these fails when an fsync, of the file or of its folder, is taken out. */
import { existsSync, rmSync, statSync, truncateSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { armFailpoints } from '../core/failpoint.ts';
import { chainWriter, makeForm } from '../testing/chain-writer.ts';
import type { DurabilityTracker } from '../testing/durability-tracker.ts';
import {
  FIXTURE_SELF,
  FIXTURE_VAULT,
  madeChunk,
  type OpenedStore,
  openStore,
  storeChunks,
  temporaryFolder,
} from '../testing/store-fixture.ts';
import { writeFileDurably } from './durable-write.ts';

const shared = vi.hoisted(() => ({ tracker: undefined as unknown }));
vi.mock('node:fs/promises', async (importOriginal) => {
  const { trackDurability } = await import('../testing/durability-tracker.ts');
  const tracker = trackDurability(await importOriginal());
  shared.tracker = tracker;
  return { ...tracker.fs, default: tracker.fs };
});
const tracker = (): DurabilityTracker => shared.tracker as DurabilityTracker;

let folder: ReturnType<typeof temporaryFolder>;
let store: OpenedStore;
beforeEach(async () => {
  folder = temporaryFolder();
  store = await openStore(join(folder.path, 'home'));
});
afterEach(() => {
  store.close();
  folder.remove();
});

test('a flushed pack: bytes, name and folders; and it was so before the index named it', async () => {
  const early: string[] = [];
  const disarm = armFailpoints((name) => {
    if (name !== 'index.pack-adding') return;
    for (const pack of store.index.chunks.packs()) early.push(...tracker().unsafe(store.chunks.packPath(pack.name)));
  });
  await storeChunks(store, [madeChunk(3_000_000), madeChunk(10, 'meta')]);
  disarm();
  expect(early).toEqual([]);
  const packs = store.index.chunks.packs();
  expect(packs).toHaveLength(2);
  for (const pack of packs) expect(tracker().unsafe(store.chunks.packPath(pack.name))).toEqual([]);
});

test('a pack is synced before it gets its name, and its folder after', async () => {
  const from = tracker().events.length;
  await storeChunks(store, [madeChunk(100)]);
  const steps = tracker()
    .events.slice(from)
    .map((event) => event.replace(/[0-9a-f]{64}/, 'PACK').replace(/\b[0-9a-f]{2}$/, 'XX'));
  expect(steps).toEqual([
    'write 1.pack',
    'sync 1.pack',
    'sync-folder packs',
    'rename 1.pack PACK.pack',
    'sync-folder XX',
  ]);
});

test('old packs are unlinked only after the new one is durable and the rows are swapped', async () => {
  for (let i = 0; i < 8; i++) await storeChunks(store, [madeChunk()]);
  const old = store.index.chunks.packs().map(({ name }) => store.chunks.packPath(name));
  const unsafe: string[] = [];
  let swaps = 0;
  const disarm = armFailpoints((name) => {
    if (name === 'index.packs-swapping') {
      swaps++;
      unsafe.push(...old.filter((path) => !existsSync(path)));
    }
    if (name === 'compact.copied' || name === 'index.packs-swapping') {
      for (const pack of store.index.chunks.packs()) unsafe.push(...tracker().unsafe(store.chunks.packPath(pack.name)));
    }
  });
  await store.chunks.mergeSmallPacks();
  disarm();
  expect(unsafe).toEqual([]);
  expect([old.length, swaps, old.filter((path) => existsSync(path)).length]).toEqual([8, 1, 0]);
});

test('an entry is durable before the index has it, the first of a file and the next; so are late bodies and a written file', async () => {
  const owner = chainWriter('durable', { vault: FIXTURE_VAULT });
  const keys = { agent: owner.agent, incarnation: 1, signPublicKey: () => owner.signPublicKey };
  const file = join(store.dataDir.chainsDir, owner.agent, '00000001-0000000000000001.chain');
  const own = join(store.dataDir.chainsDir, FIXTURE_SELF, '00000001-0000000000000001.chain');
  const unsafe: string[] = [];
  const disarm = armFailpoints((name) => {
    if (name === 'chain.durable') unsafe.push(...tracker().unsafe(file), ...tracker().unsafe(own));
  });
  for (let i = 0; i < 2; i++) {
    const { head, body } = owner.add(1, [makeForm(i)]);
    await store.chains.take(keys, [{ head, body: undefined }]);
    expect(tracker().unsafe(file)).toEqual([]);
    await store.chains.takeBodies(owner.agent, [{ seq: head.header.seq, body }]);
    expect(tracker().unsafe(file.replace('.chain', '.bodies'))).toEqual([]);
    await store.chain.add(1, [makeForm(i)]);
    await store.chain.append({ type: 'unpin', snapshot: 'aa'.repeat(32) });
    expect(tracker().unsafe(own)).toEqual([]);
  }
  disarm();
  expect(unsafe).toEqual([]);
  await writeFileDurably(store.dataDir.storedKeyFile, Buffer.from('x'));
  expect(tracker().unsafe(store.dataDir.storedKeyFile)).toEqual([]);
});

test('adds and the record behind them cost one fsync', async () => {
  await store.chain.append({ type: 'unpin', snapshot: 'aa'.repeat(32) });
  const from = tracker().events.length;
  await store.chain.add(1, [makeForm(1), makeForm(2)]);
  await store.chain.add(2, [makeForm(3)]);
  await store.chain.append({ type: 'unpin', snapshot: 'aa'.repeat(32) });
  const syncs = tracker()
    .events.slice(from)
    .filter((event) => event.startsWith('sync'));
  expect(syncs).toEqual(['sync 00000001-0000000000000001.chain']);
});

test('an end of a chain that a kill left unsynced is synced before the index has it', async () => {
  await store.chain.append({ type: 'unpin', snapshot: 'aa'.repeat(32) });
  const own = join(store.dataDir.chainsDir, FIXTURE_SELF, '00000001-0000000000000001.chain');
  store.close();
  for (const part of ['', '-wal', '-shm']) rmSync(store.dataDir.indexFile + part, { force: true });
  const from = tracker().events.length;
  let synced = false;
  const disarm = armFailpoints((name) => {
    if (name === 'rebuild.entries-applied') synced = isWrittenAgain(own, from);
  });
  store = await openStore(join(folder.path, 'home'));
  disarm();
  expect(synced).toBe(true);
  expect(store.chain.position()?.seq).toBe(1);
});

test('an unfinished end of a chain is cut off durably, before anything is appended in its place', async () => {
  const own = join(store.dataDir.chainsDir, FIXTURE_SELF, '00000001-0000000000000001.chain');
  await store.chain.append({ type: 'unpin', snapshot: 'aa'.repeat(32) });
  const { size } = statSync(own);
  await store.chain.append({ type: 'unpin', snapshot: 'aa'.repeat(32) });
  store.close();
  truncateSync(own, size + 100);
  for (const part of ['', '-wal', '-shm']) rmSync(store.dataDir.indexFile + part, { force: true });
  store = await openStore(join(folder.path, 'home'));
  expect(store.reconciled.moved).toMatchObject([{ bytes: 100 }]);
  expect(statSync(own).size).toBe(size);
  expect(tracker().unsafe(own)).toEqual([]);
});

test('late bodies that a kill left unsynced are written again and synced before the index has them', async () => {
  const owner = chainWriter('durable', { vault: FIXTURE_VAULT });
  const keys = { agent: owner.agent, incarnation: 1, signPublicKey: () => owner.signPublicKey };
  const { head, body } = owner.add(1, [makeForm(1)]);
  await store.chains.take(keys, [{ head, body: undefined }]);
  const disarm = armFailpoints((name) => {
    if (name === 'chain.bodies-written') throw new Error('killed');
  });
  await expect(store.chains.takeBodies(owner.agent, [{ seq: 1, body }])).rejects.toThrow('killed');
  disarm();
  store.close();
  const from = tracker().events.length;
  store = await openStore(join(folder.path, 'home'), { signPublicKey: () => owner.signPublicKey });
  expect(store.chains.shards(owner.agent)).toMatchObject([{ shard: 1, applied: 1 }]);
  const bodies = join(store.dataDir.chainsDir, owner.agent, '00000001-0000000000000001.bodies');
  expect(isWrittenAgain(bodies, from)).toBe(true);
  expect(tracker().unsafe(bodies)).toEqual([]);
});

/** An fsync alone would not do: pages of which an fsync failed count as clean. */
function isWrittenAgain(path: string, from: number): boolean {
  const events = tracker().events.slice(from);
  const written = events.indexOf(`write ${basename(path)}`);
  return written >= 0 && events.indexOf(`sync ${basename(path)}`) > written;
}

test('a pack that a kill left without rows is synced, file and folders, before rows name it', async () => {
  await storeChunks(store, [madeChunk(100)]);
  const pack = store.index.chunks.packs()[0]!;
  store.index.chunks.forgetPack(pack.name);
  store.close();
  const from = tracker().events.length;
  let atRows: string[] | undefined;
  const disarm = armFailpoints((name) => {
    if (name === 'index.pack-adding') atRows = tracker().events.slice(from);
  });
  store = await openStore(join(folder.path, 'home'));
  disarm();
  expect(store.index.chunks.packs()).toHaveLength(1);
  expect(atRows).toEqual(
    expect.arrayContaining([`sync ${pack.name}.pack`, `sync-folder ${pack.name.slice(0, 2)}`, 'sync-folder packs']),
  );
});
