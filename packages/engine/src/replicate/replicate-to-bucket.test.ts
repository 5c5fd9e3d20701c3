import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { decodeChainSegment } from '../chain/chain-segment.ts';
import { EntryKind } from '../chain/entry-head.ts';
import type { Form } from '../chain/forms.ts';
import { loadSodium } from '../codec/sodium.ts';
import { createAskedChunks } from '../core/asked-chunks.ts';
import type { EdgeError } from '../core/errors.ts';
import { ChunkKind, fromHex, toHex } from '../core/ids.ts';
import type { ObjectStore } from '../core/ports/object-store.ts';
import { type BucketIndexTable, bucketIndex } from '../index/bucket-index.ts';
import { chunkIndex } from '../index/chunk-index.ts';
import { type Db, openDatabase } from '../index/database.ts';
import { keyValueTable } from '../index/key-value.ts';
import { publicKeyOf } from '../keys/ed25519.ts';
import type { PutBackProof } from '../ports/put-back.ts';
import { storeIdKeyOf } from '../store/bucket/bucket-layout.ts';
import { openBucketPacks } from '../store/bucket/bucket-packs.ts';
import { openBucketVault } from '../store/bucket/bucket-vault.ts';
import { locationOf } from '../store/bucket/location.ts';
import { requireKnownStore } from '../store/bucket/store-id.ts';
import { createMemoryObjectStore } from '../store/objects/memory.ts';
import { createFakeClock } from '../testing/fake-clock.ts';
import { createMemoryChain, type MemoryChain } from '../testing/memory-chain.ts';
import { createSeededRandom } from '../testing/seeded-random.ts';
import { createSwappedObjectStore } from '../testing/swapped-object-store.ts';
import { createTreeFixture, type TreeFixture } from '../testing/tree-fixture.ts';
import { checkBucket } from './check-bucket.ts';
import { type BucketDeps, type BucketTarget, replicateToBucket } from './replicate-to-bucket.ts';

const sodium = await loadSodium();
const adminSeed = new Uint8Array(32).fill(5);
const random = createSeededRandom('bucket job');
let fixture: TreeFixture;
let folders: string[];

beforeEach(async () => {
  fixture = await createTreeFixture('bucket job');
  folders = [];
});
afterEach(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});

/** One machine: a chain, an index, and chunks that its own disk has. */
function machine(chain: MemoryChain, store: ObjectStore, scope: 'all' | 'meta' = 'all') {
  const folder = mkdtempSync(join(tmpdir(), 'bucket-job-'));
  folders.push(folder);
  const clock = createFakeClock();
  const db: Db = openDatabase(join(folder, 'index.sqlite'), chain.keys.vaultId, clock).db;
  const placesOf = (id: Uint8Array) =>
    chain.entries.flatMap(({ head }) =>
      head.header.kind !== EntryKind.add
        ? []
        : chain.chains
            .forms(chain.agentId, head.header.seq)
            .flatMap((form, position) =>
              toHex(form.id) === toHex(id) ? [{ shard: head.header.shard, seq: head.header.seq, position }] : [],
            ),
    );
  const buckets: BucketIndexTable = bucketIndex(db, placesOf);
  const chunks = chunkIndex(db, clock, buckets.watcher);
  let proof: PutBackProof | undefined;
  const gone = new Set<string>();
  const warnings: string[] = [];
  const kv = keyValueTable(db);
  const check = { name: 'far', store, vault: chain.keys.vaultId };
  const requireIdentity = () => requireKnownStore(check, kv);
  const target: BucketTarget = {
    store: 'far',
    target: scope === 'all' ? 'store:far' : 'store-meta:far',
    scope,
    objects: store,
    packs: openBucketPacks({
      store,
      vault: chain.keys.vaultId,
      life: { agent: chain.agentId, incarnation: chain.incarnation },
      requireIdentity,
    }),
    vault: openBucketVault(store, chain.keys.vaultId, requireIdentity),
    location: (storeId) => locationOf({ url: 's3://far/x' }, storeId),
    adminPublicKey: publicKeyOf(sodium, adminSeed),
    passedOver: new Set(),
    warn: ({ message }) => void warnings.push(message),
  };
  const beliefs = { get: () => undefined, set: () => {}, delete: () => {} };
  const deps = {
    clock,
    random,
    sodium,
    opener: fixture.opener,
    vault: chain.keys.vaultId,
    self: { agentId: chain.agentId, incarnation: chain.incarnation, signSeed: chain.signSeed },
    index: { chunks, buckets, kv, beliefs, log: { snapshots: () => [] } },
    chains: chain.chains,
    chain: chain.own,
    asked: createAskedChunks(),
    putBack: {
      get: () => proof,
      set: async (given: PutBackProof) => {
        proof ??= given;
      },
    },
    sources: [fixture.source('local', 'local', { has: (hex: string) => !gone.has(hex) })],
    files: {
      descriptor: async () => Buffer.from('descriptor'),
      slots: async () => [{ slotId: 'ab'.repeat(16), bytes: Buffer.from('slot') }],
      cards: async () => chain.cards,
    },
  } as unknown as BucketDeps;
  return {
    chain,
    kv,
    buckets,
    chunks,
    gone,
    warnings,
    target,
    proof: () => proof,
    deps,
    sync: () => replicateToBucket(target, deps),
    check: (notes = true) => checkBucket(target, { notes }, deps),
  };
}

function newChain(): MemoryChain {
  return createMemoryChain({ keys: fixture.keys, adminSeed, random });
}

function form(text: string, kind: ChunkKind = ChunkKind.data): Form {
  const id = fixture.put(kind, Buffer.from(text));
  const { sealed } = fixture.chunks.get(toHex(id))!;
  return {
    id,
    sealedSha256: createHash('sha256').update(sealed).digest(),
    sealedBytes: sealed.length,
    keyId: fixture.keys.currentKeyId,
    formClass: kind === ChunkKind.data ? 'data' : 'meta',
  };
}

const pin = { type: 'pin' as const, snapshot: 'aa'.repeat(32), reason: 'test' };

async function keysOf(store: ObjectStore, part: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list('')) if (key.includes(part)) keys.push(key);
  return keys;
}

async function entriesIn(store: ObjectStore): Promise<number[]> {
  const seqs: number[] = [];
  for (const key of await keysOf(store, '.seg')) {
    for (const { head } of decodeChainSegment((await store.get(key))!).entries) seqs.push(head.header.seq);
  }
  return seqs.sort((a, b) => a - b);
}

describe('a job for a bucket', () => {
  it('puts id, vault files, packs and the whole chain, hold bodies too, and says how far the bucket has everything', async () => {
    const store = createMemoryObjectStore();
    const one = machine(newChain(), store);
    one.chain.add(1, [form('a'), form('b'), form('page', ChunkKind.tree)]);
    const end = one.chain.record(pin);
    const report = await one.sync();
    expect(report).toMatchObject({ chunks: 3, entries: 3, position: end });
    expect(report.bucket?.storeId).toMatch(/^[0-9a-f]{32}$/);
    expect(await entriesIn(store)).toEqual([1, 2, 3]);
    expect((await keysOf(store, '.pack')).length).toBe(2);
    expect((await keysOf(store, 'vault.edge')).length + (await keysOf(store, '.slot')).length).toBe(2);

    one.chain.add(1, [form('a'), form('c')]);
    const next = one.chain.record(pin);
    expect(await one.sync()).toMatchObject({ chunks: 1, entries: 2, position: next });
    expect(await one.sync()).toMatchObject({ chunks: 0, entries: 0, position: next });
    expect(await entriesIn(store)).toEqual([1, 2, 3, 4, 5]);
  });

  it('puts no content into a bucket that is a cold tier only', async () => {
    const store = createMemoryObjectStore();
    const one = machine(newChain(), store, 'meta');
    one.chain.add(1, [form('a'), form('page', ChunkKind.tree)]);
    expect(await one.sync()).toMatchObject({ chunks: 1, position: one.chain.position() });
    expect((await keysOf(store, '.pack')).length).toBe(1);
  });

  it('notices a pack, a segment, a slot or the descriptor that is gone, and puts each again', async () => {
    const store = createMemoryObjectStore();
    const one = machine(newChain(), store);
    one.chain.add(1, [form('a'), form('b')]);
    const end = one.chain.record(pin);
    await one.sync();
    for (const part of ['.pack', '.seg', '.slot', 'vault.edge']) {
      const [key] = await keysOf(store, part);
      const before = await store.get(key!);
      await store.delete(key!);
      expect(await one.sync(), part).toMatchObject({ position: end });
      expect(await store.get(key!), part).toEqual(before);
    }
    expect(one.chunks.losses()).toEqual([]);
    expect(one.warnings.join()).toMatch(/lost 1 pack/);
  });

  it('tells segments and vault files that are gone until a pass put them again, also after one that did not get there', async () => {
    const store = createMemoryObjectStore();
    const one = machine(newChain(), store);
    one.chain.add(1, [form('a'), form('b')]);
    one.chain.record(pin);
    await one.sync();
    expect(await one.check()).toEqual([]);
    const { files } = one.deps;
    const full = () => Promise.reject(new Error('no more'));
    for (const part of ['.seg', '.slot', 'vault.edge']) {
      for (const key of await keysOf(store, part)) await store.delete(key);
      const first = await one.check(false);
      expect(first.join(), part).toMatch(/gone/);
      if (part === '.seg') {
        // A pass notices it, and ends before it puts anything.
        Object.assign(one.deps, { files: { ...files, descriptor: full } });
        await expect(one.sync()).rejects.toThrow('no more');
        Object.assign(one.deps, { files });
        expect(one.buckets.segments(one.target.target)).toEqual([]);
      }
      for (let look = 0; look < 3; look++) expect(await one.check(), part).toEqual(first);
      await one.sync();
      expect(await one.check(), part).toEqual([]);
    }
    // Of another store nothing is said.
    await store.put(storeIdKeyOf(one.chain.keys.vaultId), Buffer.from('x'));
    await expect(one.check()).rejects.toThrow();
  });

  it('puts a pack and a segment again that became shorter', async () => {
    const store = createMemoryObjectStore();
    const one = machine(newChain(), store);
    one.chain.add(1, [form('a')]);
    await one.sync();
    const [pack] = await keysOf(store, '.pack');
    const [segment] = await keysOf(store, '.seg');
    await store.put(pack!, (await store.get(pack!))!.subarray(0, 90));
    await store.put(segment!, (await store.get(segment!))!.subarray(0, 90));
    expect(await one.sync()).toMatchObject({ chunks: 1, entries: 2, position: one.chain.position() });
    expect(await entriesIn(store)).toEqual([1, 2]);
  });

  it('never says that a bucket has what it lost and nobody has any more, and says so until it is given up', async () => {
    const store = createMemoryObjectStore();
    const one = machine(newChain(), store);
    const lost = form('lost');
    one.chain.add(1, [lost]);
    one.chain.add(1, [form('kept')]);
    await one.sync();
    for (const key of await keysOf(store, '.pack')) await store.delete(key);
    one.gone.add(toHex(lost.id));
    expect((await one.sync()).position?.seq).toBe(1);
    expect(one.buckets.lackingCount('store:far')).toBe(1);
    expect(one.chunks.losses()).toMatchObject([{ store: 'far', reason: 'absent' }]);
    const end = one.chain.release(1, [lost.id]);
    expect(await one.sync()).toMatchObject({ position: end });
    expect(one.chunks.losses()).toEqual([]);
  });

  it('finds packs that a killed job left, and sends nothing twice', async () => {
    const store = createMemoryObjectStore();
    const chain = newChain();
    chain.add(1, [form('a'), form('b')]);
    await machine(chain, store).sync();
    expect(await machine(chain, store).sync()).toMatchObject({ chunks: 0, entries: 0, position: chain.position() });
  });
});

describe('the store’s id', () => {
  it('is asked before anything is called absent: an emptied or another store changes nothing', async () => {
    const store = createMemoryObjectStore();
    const one = machine(newChain(), store);
    one.chain.add(1, [form('a')]);
    await one.sync();
    const other = createMemoryObjectStore('s3://other');
    const moved = { ...one.target, objects: other, vault: openBucketVault(other, one.chain.keys.vaultId) };
    Object.assign(one.target, moved);
    await expect(one.sync()).rejects.toMatchObject({ code: 'E_NO_BUCKET', exitCode: 10 });
    expect(await keysOf(other, '')).toEqual([]);
    await machine(newChain(), other).sync();
    await expect(one.sync()).rejects.toMatchObject({ code: 'E_NO_BUCKET' });
    expect(one.chunks.packs('far').length).toBe(1);
  });

  it('is made again where it alone is gone, and everything is compared again', async () => {
    const store = createMemoryObjectStore();
    const one = machine(newChain(), store);
    one.chain.add(1, [form('a')]);
    const before = await one.sync();
    await store.delete(storeIdKeyOf(one.chain.keys.vaultId));
    const after = await one.sync();
    expect(after.bucket?.storeId).not.toBe(before.bucket?.storeId);
    expect(after).toMatchObject({ chunks: 0, entries: 0, position: one.chain.position() });
  });
});

describe('a place that changes while a job runs', () => {
  /** A store that is known; with `lost`, one that lost one of its packs. The chain has something new. */
  async function prepared(lost: boolean) {
    const home = createMemoryObjectStore();
    const store = createSwappedObjectStore(home);
    const one = machine(newChain(), store);
    if (lost) one.chain.add(1, [form('a'), form('page', ChunkKind.tree)]);
    await one.sync();
    if (lost) await home.delete((await keysOf(home, '.pack'))[0]!);
    one.chain.add(1, [form('b'), form('leaf', ChunkKind.tree)]);
    one.chain.record(pin);
    const before = await rows(one, home);
    return { home, store, one, before };
  }

  async function rows(one: ReturnType<typeof machine>, home: ObjectStore) {
    const keys = (await keysOf(home, '.pack')).join();
    return one.chunks
      .packs('far')
      .map(({ name, marked }) => ({ name, isCounted: marked === undefined, isThere: keys.includes(name) }));
  }

  /** What one finds there that knows only the chain. */
  const isWhole = async ({ home, one }: { home: ObjectStore; one: ReturnType<typeof machine> }) => {
    const { chunks, entries } = await machine(one.chain.image(), home).sync();
    return chunks + entries === 0;
  };

  /** An empty folder, and one into which a job that was cut off put some of the vault's files. */
  async function places(one: ReturnType<typeof machine>): Promise<readonly ObjectStore[]> {
    const used = createMemoryObjectStore('memory://used');
    await openBucketVault(used, one.chain.keys.vaultId).putDescriptor(Buffer.from('descriptor'));
    return [createMemoryObjectStore('memory://empty'), used];
  }

  it.each([false, true])(
    'acknowledges nothing and calls nothing gone, at whatever call it goes (lost before: %s)',
    async (lost) => {
      let isOver = false;
      for (let k = 0; !isOver; k++) {
        for (const at of [0, 1]) {
          const scene = await prepared(lost);
          const { home, store, one, before } = scene;
          store.swap((await places(one))[at]!, k);
          const begun = store.calls;
          const failed = await one.sync().then(
            () => undefined,
            (error: EdgeError) => error.code,
          );
          isOver = store.calls - begun <= k;
          const what = `place ${at}, after ${k} calls`;
          expect(failed, what).toBe(isOver ? undefined : 'E_NO_BUCKET');
          const after = await rows(one, home);
          expect(
            after.filter(({ isCounted, isThere }) => isThere !== isCounted && isThere),
            what,
          ).toEqual([]);
          expect(
            after.filter(
              ({ name, isCounted, isThere }) => isCounted && !isThere && before.every((row) => row.name !== name),
            ),
            what,
          ).toEqual([]);
          if (!isOver)
            expect(
              after.map(({ name }) => name),
              what,
            ).toEqual(expect.arrayContaining(before.map(({ name }) => name)));
          expect(
            one.warnings.filter((text) => /lost|damaged/.test(text) && !/lost 1 pack/.test(text)),
            what,
          ).toEqual([]);
          // Mounted again.
          store.swap(home, Number.POSITIVE_INFINITY);
          expect(await one.sync(), what).toMatchObject({ position: one.chain.position() });
          expect(await isWhole(scene), what).toBe(true);
        }
      }
    },
  );

  it.each([1, 3, 8])('acknowledges only what is there, when it is away for %i calls', async (length) => {
    let isOver = false;
    for (let k = 0; !isOver; k++) {
      const scene = await prepared(true);
      const { store, one } = scene;
      store.swap((await places(one))[0]!, k, k + length);
      const begun = store.calls;
      const report = await one.sync().catch(() => undefined);
      isOver = store.calls - begun <= k;
      if (report?.position?.seq === one.chain.position()?.seq)
        expect(await isWhole(scene), `after ${k} calls`).toBe(true);
      for (const { isCounted, isThere, name } of await rows(one, scene.home))
        if (isCounted && !isThere)
          expect(
            scene.before.map((row) => row.name),
            `after ${k} calls`,
          ).toContain(name);
    }
  });

  it('a place without an id is the known store only where it shows what was put there', async () => {
    const home = createMemoryObjectStore();
    const store = createSwappedObjectStore(home);
    const one = machine(newChain(), store);
    one.chain.add(1, [form('a')]);
    await one.sync();
    const [, used] = await places(one);
    store.swap(used!, 0);
    await expect(one.sync()).rejects.toMatchObject({ code: 'E_NO_BUCKET' });
    expect((await keysOf(used!, '')).map((key) => key.split('/')[1])).toEqual(['vault.edge']);
  });
});

describe('a machine that was put back', () => {
  it('is found by what the bucket shows, before anything is put, and stays so', async () => {
    const store = createMemoryObjectStore();
    const one = machine(newChain(), store);
    one.chain.add(1, [form('a')]);
    await one.sync();
    const image = machine(one.chain.image(), store);
    one.chain.add(1, [form('b')]);
    await one.sync();
    const before = await keysOf(store, '');
    image.chain.add(1, [form('c')]);
    await expect(image.sync()).rejects.toMatchObject({ code: 'E_ROLLBACK', exitCode: 9 });
    expect(image.proof()?.position).toEqual(one.chain.position());
    expect(await keysOf(store, '')).toEqual(before);
    await expect(image.sync()).rejects.toMatchObject({ code: 'E_ROLLBACK' });
  });

  it('is found when both were behind the bucket, by the listing after the put', async () => {
    const store = createMemoryObjectStore();
    const one = machine(newChain(), store);
    await one.sync();
    const image = machine(one.chain.image(), store);
    await image.sync();
    one.chain.record(pin);
    image.chain.record({ ...pin, reason: 'other' });
    // The other one puts between this one's listing and its put.
    const put = image.target.vault.putSegment;
    Object.assign(image.target, {
      vault: {
        ...image.target.vault,
        putSegment: async (...args: Parameters<typeof put>) => {
          await one.sync();
          await put(...args);
        },
      },
    });
    await expect(image.sync()).rejects.toMatchObject({ code: 'E_ROLLBACK' });
    await expect(one.sync()).rejects.toMatchObject({ code: 'E_ROLLBACK' });
    expect(await entriesIn(store)).toEqual([1, 2, 2]);
  });

  it('is not proved by an object that the agent did not sign: only that store is refused', async () => {
    const store = createMemoryObjectStore();
    const one = machine(newChain(), store);
    await one.sync();
    const stranger = one.chain.image();
    stranger.signSeed = random(32);
    stranger.record(pin);
    const other = machine(stranger, createMemoryObjectStore());
    await other.sync();
    for (const key of await keysOf(other.target.objects, '.seg'))
      await store.put(key, (await other.target.objects.get(key))!);
    await expect(one.sync()).rejects.toMatchObject({ code: 'E_INTEGRITY' });
    expect(one.proof()).toBeUndefined();
  });

  it('ends where a newer incarnation has written', async () => {
    const store = createMemoryObjectStore();
    const one = machine(newChain(), store);
    await one.sync();
    const next = one.chain.image();
    next.incarnation = 2;
    next.signSeed = random(32);
    next.takeover();
    const two = machine(next, store);
    const report = await two.sync();
    expect(report).toMatchObject({ entries: 1, position: next.position() });
    one.chain.record(pin);
    await expect(one.sync()).rejects.toThrow(/took over/);
    expect(one.proof()?.position.incarnation).toBe(2);
    next.record(pin);
    expect(await two.sync()).toMatchObject({ position: next.position() });
  });

  it('leaves a branch of an older incarnation alone', async () => {
    const store = createMemoryObjectStore();
    const one = machine(newChain(), store);
    const base = one.chain.position();
    const next = one.chain.image();
    one.chain.record(pin);
    await one.sync();
    next.incarnation = 2;
    next.signSeed = random(32);
    next.takeover({ base });
    const two = machine(next, store);
    expect(await two.sync()).toMatchObject({ position: next.position() });
    expect(await two.sync()).toMatchObject({ entries: 0, position: next.position() });
    expect(await entriesIn(store)).toEqual([1, 1, 2, 2]);
  });
});

it('damage in a store’s own files is told and proves nothing', async () => {
  const store = createMemoryObjectStore();
  const one = machine(newChain(), store);
  await one.sync();
  await store.put(storeIdKeyOf(one.chain.keys.vaultId), fromHex('ab'.repeat(34), 34));
  await expect(one.sync()).rejects.toMatchObject({ code: 'E_FORMAT' });
});
