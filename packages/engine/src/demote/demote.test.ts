import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Statement } from '../chain/statement.ts';
import { NO_LIST } from '../chain/unsatisfied-list.ts';
import { loadSodium } from '../codec/sodium.ts';
import { createAskedChunks } from '../core/asked-chunks.ts';
import { EdgeError } from '../core/errors.ts';
import { armFailpoints } from '../core/failpoint.ts';
import { type ChunkId, packClassOf, toHex } from '../core/ids.ts';
import { LAYOUT_VERSION } from '../core/limits.ts';
import type { SealedChunk } from '../core/ports/chunk-store.ts';
import type { ObjectStore } from '../core/ports/object-store.ts';
import type { Member, PeerDirectory, PeerLink, VerifiedBytes } from '../core/ports/peer.ts';
import type { BucketWitness, HolderAnswer } from '../ports/witnesses.ts';
import { packKeyOf, storeIdKeyOf } from '../store/bucket/bucket-layout.ts';
import { openBucketPacks } from '../store/bucket/bucket-packs.ts';
import { learnPacks } from '../store/bucket/learn-packs.ts';
import { type Bucket, openBucket } from '../store/bucket/open-bucket.ts';
import { encodeStoreId } from '../store/bucket/store-id.ts';
import { createMemoryObjectStore } from '../store/objects/memory.ts';
import { createFaultyObjectStore, type FaultyObjectStore } from '../testing/faulty-object-store.ts';
import { formOf } from '../testing/owner-fixture.ts';
import { realClock } from '../testing/real-clock.ts';
import { createSeededRandom } from '../testing/seeded-random.ts';
import {
  FIXTURE_SELF,
  FIXTURE_VAULT,
  type OpenedStore,
  openStore,
  storeChunks,
  temporaryFolder,
} from '../testing/store-fixture.ts';
import { createSwappedObjectStore, type SwappedObjectStore } from '../testing/swapped-object-store.ts';
import { createTreeFixture, type TreeFixture } from '../testing/tree-fixture.ts';
import type { Entry } from '../tree/entry.ts';
import { applyDemote } from './apply-demote.ts';
import type { DemoteDeps, TierInput, TierPolicy } from './demote-types.ts';
import { planDemote } from './plan-demote.ts';
import { applyRecall, planRecall, type RecallDeps } from './recall.ts';
import { explainTier, tierStatus } from './tier-status.ts';

const sodium = await loadSodium();
const DAY_NS = 86_400_000_000_000n;
const agent = FIXTURE_SELF;
const life = { agent, incarnation: 1 };

let folder: ReturnType<typeof temporaryFolder>;
let store: OpenedStore;
let fixture: TreeFixture;
let objects: FaultyObjectStore;
let bucket: Bucket;
/** Where the bucket is, while its disk is there. */
let home: ObjectStore;
let place: SwappedObjectStore;
let aheadNs: bigint;
let peers: Map<string, { readonly link: PeerLink; readonly site: string }>;
let said: (id: string) => Partial<Statement>;
let isPutBack: boolean;
let witnessBucket: () => Promise<BucketWitness | undefined>;
const BUCKET_WITNESS = { storeId: 'b0'.repeat(16), location: 'b1'.repeat(32) };
const warnings: string[] = [];

beforeEach(async () => {
  folder = temporaryFolder();
  store = await openStore(folder.path);
  fixture = await createTreeFixture('demote');
  home = createMemoryObjectStore('s3://cold');
  place = createSwappedObjectStore(home);
  objects = createFaultyObjectStore(place, [], {
    clock: realClock,
    random: createSeededRandom(1),
  });
  bucket = openBucket(
    { name: 'archive', store: objects, vault: FIXTURE_VAULT, life },
    { index: store.index.chunks, kv: store.index.kv },
  );
  await bucket.vault.putDescriptor(Buffer.from('this vault'));
  await home.put(storeIdKeyOf(FIXTURE_VAULT), encodeStoreId(BUCKET_WITNESS.storeId));
  store.index.kv.set('bucket.id.archive', BUCKET_WITNESS.storeId);
  aheadNs = 0n;
  peers = new Map();
  placedAt.clear();
  said = () => ({});
  isPutBack = false;
  witnessBucket = async () => BUCKET_WITNESS;
  warnings.length = 0;
});
afterEach(() => {
  store.close();
  folder.remove();
});

const policy = (more: Partial<TierPolicy> = {}): TierPolicy => ({
  name: 'default',
  hotNs: 0n,
  warmNs: 0n,
  cold: 'archive',
  match: [],
  pin: [],
  copies: 0,
  sites: 0,
  ...more,
});
const inputOf = (one: TierPolicy | undefined): TierInput => ({ agent, policyOf: () => one });

function deps(): DemoteDeps & RecallDeps & { readonly sessions: OpenedStore['index']['chunks'] } {
  const { index } = store;
  const directory: PeerDirectory = {
    members: () => [...peers].map(([id, { site }]) => ({ agent: id, name: id.slice(0, 4), site }) as Member),
    link: (id) => peers.get(id)?.link,
  };
  return {
    clock: { ...realClock, nowNs: () => realClock.nowNs() + aheadNs },
    sodium,
    random: createSeededRandom('demote'),
    vault: FIXTURE_VAULT,
    opener: fixture.opener,
    self: { agentId: FIXTURE_SELF, incarnation: 1 },
    chains: store.chains,
    asked: createAskedChunks(),
    isPutBack: () => isPutBack,
    witnesses: { holder: askPeer, bucket: witnessBucket },
    index: { chunks: index.chunks, log: index.log, holds: index.holds },
    placed: { targetsOf: (ids: readonly ChunkId[]) => ids.map((id) => placedAt.get(toHex(id)) ?? []) },
    sources: [store.chunks, bucket.source],
    chunks: store.chunks,
    buckets: new Map([['archive', bucket]]),
    peers: directory,
    warn: ({ message }: { message: string }) => void warnings.push(message),
    sessions: index.chunks,
  } as never;
}

/** A holder that follows the own chain to its end; `said` changes what it states. */
async function askPeer(id: string): Promise<HolderAnswer | undefined> {
  const peer = peers.get(id);
  const position = store.chain.position();
  if (peer === undefined) return undefined;
  const shards = store.chains.shards(FIXTURE_SELF).map(({ shard }) => ({
    shard,
    applied: position?.seq ?? 0,
    whole: position?.seq ?? 0,
    wanted: 0,
    lost: 0,
    unreadable: 0,
    listDigest: NO_LIST,
  }));
  const statement = {
    vault: FIXTURE_VAULT,
    holder: id,
    holderIncarnation: 1,
    storeId: id,
    epoch: 1n,
    startId: '11'.repeat(16),
    owner: FIXTURE_SELF,
    position,
    layoutVersion: LAYOUT_VERSION,
    nonce: new Uint8Array(32),
    branches: [],
    wallNs: 0n,
    shards,
    backing: [],
    ...said(id),
  };
  return { statement, lists: new Map() };
}

/** Where chunks are believed to be besides the own stores. */
const placedAt = new Map<string, { readonly target: string; readonly askedNs: bigint }[]>();

function notePlaced(target: string, ids: readonly ChunkId[]): void {
  for (const id of ids) placedAt.set(toHex(id), [...(placedAt.get(toHex(id)) ?? []), { target, askedNs: 1n }]);
}

/** Stores everything that the fixture holds and notes a snapshot of it. */
async function snapshot(entry: Entry, root = 'test'): Promise<void> {
  const chunks = [...fixture.chunks.values()].map(
    ({ id, kind, sealed }): SealedChunk => ({
      id,
      packClass: packClassOf(kind),
      keyId: fixture.keys.currentKeyId,
      bytes: sealed,
      sha256: createHash('sha256').update(sealed).digest(),
      identified: true,
    }),
  );
  const known = store.index.chunks.locate(chunks.map(({ id }) => id));
  await storeChunks(
    store,
    chunks.filter((_, i) => (known[i]?.length ?? 0) === 0),
  );
  await store.chain.add(1, chunks.map(formOf));
  await store.chain.append({ ...fixture.body(entry), root }, 1);
}

const dataIds = () => [...fixture.chunks.values()].filter(({ kind }) => kind === 1).map(({ id }) => id);
const placesOf = (id: ChunkId) => (store.index.chunks.locate([id])[0] ?? []).map((copy) => copy.store);
const random = createSeededRandom('content');
const file = (name: string, bytes = 5_000, mtimeNs = 0n) => fixture.file(name, random(bytes), { mtimeNs });

async function run(one: TierPolicy | undefined) {
  return applyDemote(await planDemote(inputOf(one), deps()), deps());
}

async function readable(ids: readonly ChunkId[]): Promise<number> {
  let good = 0;
  for (const source of [store.chunks, bucket.source]) {
    const addresses = (await source.locate(ids)).filter((address) => address !== undefined);
    for await (const answer of source.fetch(addresses)) {
      if (!('sealed' in answer)) continue;
      fixture.opener.open(1, answer.address.id, answer.address.keyId, answer.sealed);
      good += 1;
    }
  }
  return good;
}

describe('demote', () => {
  it('moves cold data to the bucket, keeps trees, and reads through', async () => {
    await snapshot(fixture.dir('', [file('a'), file('b', 700_000), fixture.dir('sub', [file('c')])]));
    const plan = await planDemote(inputOf(policy()), deps());
    expect(plan.put.chunks).toBe(dataIds().length);
    expect(plan.requests).toBe(2);
    expect((await planDemote(inputOf(policy()), deps())).id).toBe(plan.id);
    const report = await applyDemote(plan, deps());
    expect(report.moved).toEqual(plan.put);
    expect(report.dropped).toEqual(plan.drop);
    expect(report.kept.chunks).toBe(0);
    expect(report.freedBytes).toBeGreaterThan(700_000);
    for (const id of dataIds()) expect(placesOf(id)).toEqual(['archive']);
    expect(store.index.chunks.packs('').map((pack) => pack.packClass)).toEqual(['meta']);
    expect(await readable(dataIds())).toBe(dataIds().length);
    expect((await planDemote(inputOf(policy()), deps())).parts).toEqual([]);
  });

  it('gathers in the order of the newest snapshot’s tree', async () => {
    const [late, early] = [file('z'), file('a')];
    await snapshot(fixture.dir('', [late]));
    await snapshot(fixture.dir('', [late, early]));
    const plan = await planDemote(inputOf(policy()), deps());
    const order = Array.from(plan.parts[0]!.put, ({ id }) => toHex(id));
    const idOf = (entry: Entry) =>
      entry.content?.form === 'inline' ? toHex(entry.content.refs[0]?.id as Uint8Array) : '';
    expect(order).toEqual([idOf(early), idOf(late)]);
  });

  it('leaves what is young by change, by storing or by reading', async () => {
    const old = file('old');
    const fresh = file('fresh', 5_000, realClock.nowNs());
    await snapshot(fixture.dir('', [old, fresh]));
    const aged = policy({ hotNs: 10n * DAY_NS, warmNs: 20n * DAY_NS });
    // Stored a moment ago.
    expect((await planDemote(inputOf(aged), deps())).put.chunks).toBe(0);
    aheadNs = 15n * DAY_NS;
    expect((await planDemote(inputOf(aged), deps())).put.chunks).toBe(0);
    aheadNs = 25n * DAY_NS;
    expect((await planDemote(inputOf(aged), deps())).put.chunks).toBe(2);
    const [first] = dataIds();
    store.index.chunks.noteReads([first as ChunkId], realClock.nowNs() + 20n * DAY_NS);
    expect((await planDemote(inputOf(aged), deps())).put.chunks).toBe(1);
    // A clock that went back makes nothing old.
    aheadNs = -1000n * DAY_NS;
    expect((await planDemote(inputOf(aged), deps())).put.chunks).toBe(0);
  });

  it('keeps a chunk that a younger file shares', async () => {
    const bytes = random(4_000);
    const both = [
      fixture.file('old', bytes, { mtimeNs: 0n }),
      fixture.file('new', bytes, { mtimeNs: realClock.nowNs() + 30n * DAY_NS }),
    ];
    await snapshot(fixture.dir('', both));
    aheadNs = 40n * DAY_NS;
    expect((await planDemote(inputOf(policy({ hotNs: DAY_NS, warmNs: 20n * DAY_NS })), deps())).put.chunks).toBe(0);
  });

  it('keeps what is pinned, not matched, or of a root that is not tiered', async () => {
    await snapshot(fixture.dir('', [file('a.jpg'), file('b.txt'), fixture.dir('keep', [file('c.jpg')])]));
    const chosen = await planDemote(inputOf(policy({ match: ['*.jpg'], pin: ['keep/'] })), deps());
    expect(chosen.put.chunks).toBe(1);
    expect((await planDemote(inputOf(undefined), deps())).put.chunks).toBe(0);
    const shared = { agent, policyOf: (root: string) => (root === 'test' ? policy() : undefined) };
    await snapshot(fixture.dir('', [file('only here')]), 'other');
    await snapshot(fixture.dir('', [fixture.file('x', 'shared bytes')]));
    await snapshot(fixture.dir('', [fixture.file('y', 'shared bytes')]), 'other');
    expect((await planDemote(shared, deps())).put.chunks).toBe(3);
  });

  it('knows a pack that is named like the local one it came from', async () => {
    await snapshot(fixture.dir('', [file('single')]));
    const [local] = store.index.chunks.packs('').filter((pack) => pack.packClass === 'data');
    await run(policy());
    expect(store.index.chunks.packs('archive').map((pack) => pack.name)).toEqual([local?.name]);
    expect(await readable(dataIds())).toBe(1);
  });

  it('does not move a damaged local copy, and says so', async () => {
    await snapshot(fixture.dir('', [file('a', 300_000), file('b', 300_000)]));
    const [pack] = store.index.chunks.packs('').filter((one) => one.packClass === 'data');
    const path = store.dataDir.packFile(pack?.name ?? '');
    const bytes = readFileSync(path);
    bytes.writeUInt8(bytes.readUInt8(1000) ^ 1, 1000);
    writeFileSync(path, bytes);
    const report = await run(policy());
    expect(report.moved.chunks).toBe(1);
    expect(report.kept.chunks).toBe(1);
    expect(warnings.join()).toMatch(/damaged/);
  });

  it('refuses a store that is not configured', async () => {
    await snapshot(fixture.dir('', [file('a')]));
    await expect(planDemote(inputOf(policy({ cold: 'nowhere' })), deps())).rejects.toMatchObject({ code: 'E_CONFIG' });
  });
});

describe('P5', () => {
  /** Chunks that are not here any more, and of which the place that has the store's id has no copy. */
  async function nowhere(): Promise<number> {
    const frames = new Set<string>();
    const there = openBucketPacks({ store: home, vault: FIXTURE_VAULT, life, requireIdentity: async () => {} });
    for await (const pack of there.list())
      for (const { id } of (await there.readContents(pack))?.frames ?? []) frames.add(toHex(id));
    return dataIds().filter((id) => !placesOf(id).includes('') && !frames.has(toHex(id))).length;
  }

  it.each([Number.POSITIVE_INFINITY, 1, 3])(
    'drops nothing that is only in an empty place in the bucket’s stead, at whatever call it comes, for %d calls',
    async (length) => {
      let isOver = false;
      for (let k = 0; !isOver; k++) {
        await snapshot(fixture.dir('', [file(`second ${k}`), file(`third ${k}`)]));
        place.swap(createMemoryObjectStore('memory://empty'), k, k + length);
        const begun = place.calls;
        const report = await run(policy()).catch((error: unknown) => error as EdgeError);
        isOver = place.calls - begun <= k;
        expect(await nowhere(), `after ${k} calls`).toBe(0);
        if (length === Number.POSITIVE_INFINITY && !isOver)
          expect(report, `after ${k} calls`).toMatchObject({ code: 'E_NO_BUCKET' });
        for (const { name } of store.index.chunks.packs('archive'))
          expect(
            await home.stat(packKeyOf(FIXTURE_VAULT, { ...life, packClass: 'data', name })),
            `after ${k} calls`,
          ).toBeDefined();
        place.swap(home, Number.POSITIVE_INFINITY);
        expect((await run(policy())).kept.chunks, `after ${k} calls`).toBe(0);
        expect(await nowhere()).toBe(0);
      }
    },
  );

  const faults = {
    'a put that was not stored': { verb: 'put', nth: 1, effect: { kind: 'lie' } },
    'a put that was stored spoilt': { verb: 'put', nth: 1, effect: { kind: 'flip' } },
    'a put that fails': { verb: 'put', nth: 1, effect: { kind: 'error' } },
    'a look that fails': { verb: 'stat', nth: 1, effect: { kind: 'error' } },
  } as const;
  for (const [name, fault] of Object.entries(faults)) {
    it(`drops nothing after ${name}, and all when it is run again`, async () => {
      await snapshot(fixture.dir('', [file('a'), file('b')]));
      objects.setPlan([fault]);
      await expect(run(policy())).rejects.toThrow();
      for (const id of dataIds()) expect(placesOf(id)).toEqual(['']);
      objects.setPlan([]);
      expect((await run(policy())).dropped.chunks).toBe(2);
      expect(await readable(dataIds())).toBe(2);
    });
  }

  for (const point of [
    'bucket.pack-put',
    'demote.pack-verified',
    'demote.pack-indexed',
    'demote.verified',
    'demote.dropped',
  ]) {
    it(`loses nothing when it dies at ${point}, and the next run goes on`, async () => {
      await snapshot(fixture.dir('', [file('a'), file('b', 200_000)]));
      const disarm = armFailpoints((hit) => {
        if (hit === point) throw new Error('killed');
      });
      await expect(run(policy())).rejects.toThrow('killed');
      disarm();
      expect(await readable(dataIds())).toBeGreaterThanOrEqual(2);
      await run(policy());
      for (const id of dataIds()) expect(placesOf(id)).toEqual(['archive']);
      expect(await readable(dataIds())).toBe(2);
      expect(readdirSync(join(folder.path, 'packs')).length).toBeGreaterThan(0);
    });
  }

  it('asks the bucket once in each job, and drops nothing where it does not count', async () => {
    await snapshot(fixture.dir('', [file('a'), file('b')]));
    const disarm = armFailpoints((hit) => {
      if (hit === 'demote.pack-indexed') throw new Error('killed');
    });
    await expect(run(policy())).rejects.toThrow('killed');
    disarm();
    witnessBucket = async () => {
      throw new EdgeError('E_NO_BUCKET', 'another store answers');
    };
    await expect(run(policy())).rejects.toMatchObject({ code: 'E_NO_BUCKET' });
    witnessBucket = async () => undefined;
    await expect(run(policy())).rejects.toMatchObject({ code: 'E_CONFIG' });
    for (const id of dataIds()) expect(placesOf(id).sort()).toEqual(['', 'archive']);
    let asked = 0;
    witnessBucket = async () => {
      asked += 1;
      return BUCKET_WITNESS;
    };
    expect((await run(policy())).dropped.chunks).toBe(2);
    expect(asked).toBe(1);
  });

  it('does not believe an index row: what the bucket lost stays here', async () => {
    await snapshot(fixture.dir('', [file('a'), file('b')]));
    const disarm = armFailpoints((hit) => {
      if (hit === 'demote.pack-indexed') throw new Error('killed');
    });
    await expect(run(policy())).rejects.toThrow('killed');
    disarm();
    for await (const { key } of objects.list('')) if (key.endsWith('.pack')) await objects.delete(key);
    const report = await run(policy());
    expect(report.dropped.chunks).toBe(0);
    expect(report.kept.chunks).toBe(2);
    expect(await readable(dataIds())).toBe(2);
    // Known as lost now, it is put again.
    expect((await run(policy())).moved.chunks).toBe(2);
  });

  describe('with two copies asked for', () => {
    const two = policy({ copies: 2, sites: 2 });
    const holderId = 'cc'.repeat(16);

    function addHolder(
      how: {
        readonly id?: string;
        readonly site?: string;
        readonly answer?: 'right' | 'wrong' | 'none' | 'down';
        readonly plain?: 'right' | 'wrong' | 'none';
      } = {},
    ): void {
      const { id = holderId, site = 'dc', answer = 'right', plain = 'none' } = how;
      const link = {
        agent: id,
        name: `holder in ${site}`,
        site,
        label: 'holder',
        source: fixture.source('peers'),
        verify: async (nonce: Uint8Array, ids: readonly ChunkId[], of: VerifiedBytes) => {
          if (answer === 'down') throw new Error('unreachable');
          return ids.map((one) => {
            if (answer === 'none') return undefined;
            if (of === 'plain') {
              if (plain === 'none') return undefined;
              const opened = fixture.opener.open(1, one, 1, fixture.chunks.get(toHex(one))!.sealed);
              return sodium.crypto_generichash(32, plain === 'right' ? opened : Buffer.from('else'), nonce);
            }
            const sealed = Uint8Array.from(fixture.chunks.get(toHex(one))?.sealed ?? []);
            if (answer === 'wrong') sealed[50] = (sealed[50] ?? 0) ^ 1;
            return sodium.crypto_generichash(32, sealed, nonce);
          });
        },
      } as unknown as PeerLink;
      peers.set(id, { link, site });
      notePlaced(id, dataIds());
    }

    it('drops when a peer shows the second', async () => {
      await snapshot(fixture.dir('', [file('a'), file('b')]));
      addHolder();
      expect((await run(two)).dropped.chunks).toBe(2);
    });

    it('moves but keeps when the peer cannot show it', async () => {
      await snapshot(fixture.dir('', [file('a'), file('b')]));
      for (const answer of ['none', 'down'] as const) {
        addHolder({ answer });
        const report = await run(two);
        expect(report.dropped.chunks).toBe(0);
        expect(report.kept.chunks).toBe(2);
        expect(report.notes.length).toBeGreaterThan(0);
      }
      expect(dataIds().map((id) => placesOf(id).sort())).toEqual([
        ['', 'archive'],
        ['', 'archive'],
      ]);
      addHolder();
      expect((await run(two)).dropped.chunks).toBe(2);
    });

    it('opens a copy of other bytes before it counts it', async () => {
      await snapshot(fixture.dir('', [file('a')]));
      // Its hash is of other bytes than ours, but the frame that it gives opens.
      addHolder({ answer: 'wrong' });
      expect((await run(two)).dropped.chunks).toBe(1);
      await snapshot(fixture.dir('', [file('b')]));
      const { link } = peers.get(holderId) as { link: PeerLink };
      (link as { source: unknown }).source = fixture.source('peers', 'holder', {
        serve: (_, sealed) => Uint8Array.from(sealed).fill(7),
      });
      notePlaced(holderId, dataIds());
      expect((await run(two)).dropped.chunks).toBe(0);
    });

    it('counts copies that were sealed at another time by what is in them, without moving them', async () => {
      await snapshot(fixture.dir('', [fixture.file('many', random(80_000), { chunkBytes: 1000, mtimeNs: 0n })]));
      addHolder({ answer: 'wrong', plain: 'right' });
      const { link } = peers.get(holderId) as { link: PeerLink };
      const source = fixture.source('peers', 'holder');
      Object.assign(link, { source });
      let fetched = 0;
      const { fetch } = source;
      source.fetch = (addresses, signal) => {
        fetched += addresses.length;
        return fetch(addresses, signal);
      };
      const report = await run(two);
      expect(report.dropped.chunks).toBe(dataIds().length);
      expect(report.notes).toEqual([]);
      // The sample.
      expect(fetched).toBe(1);
    });

    it('does not count a wrong hash of what is in a copy, and says so', async () => {
      await snapshot(fixture.dir('', [file('a'), file('b')]));
      addHolder({ answer: 'wrong', plain: 'wrong' });
      const report = await run(two);
      expect(report.dropped.chunks).toBe(0);
      expect(report.notes.join()).toMatch(/^2 chunks: .*another hash$/);
    });

    it('does not believe hashes of a peer that cannot give the sample', async () => {
      await snapshot(fixture.dir('', [file('a')]));
      addHolder({ answer: 'wrong', plain: 'right' });
      const { link } = peers.get(holderId) as { link: PeerLink };
      Object.assign(link, {
        source: fixture.source('peers', 'holder', { serve: (_, sealed) => Uint8Array.from(sealed).fill(7) }),
      });
      expect((await run(two)).dropped.chunks).toBe(0);
    });

    it('fetches some copies of a peer without the key, and says how many were left', async () => {
      await snapshot(fixture.dir('', [fixture.file('many', random(80_000), { chunkBytes: 1000, mtimeNs: 0n })]));
      addHolder({ answer: 'wrong' });
      const report = await run(two);
      expect(report.dropped.chunks).toBe(64);
      expect(report.notes.join()).toMatch(/^16 chunks: .*left to the next run$/);
    });

    it('counts only the chunks that the peer could hash', async () => {
      await snapshot(fixture.dir('', [file('a'), file('b')]));
      const [, lost] = dataIds().map(toHex);
      addHolder();
      const { link } = peers.get(holderId) as { link: PeerLink };
      const right = link.verify;
      Object.assign(link, {
        source: fixture.source('peers', 'holder', { has: (hex) => hex !== lost }),
        // An old hash of what it no longer has.
        verify: async (nonce: Uint8Array, ids: readonly ChunkId[], of: VerifiedBytes) =>
          (await right(nonce, ids, of)).map((answer, i) =>
            toHex(ids[i] as ChunkId) === lost ? new Uint8Array(32) : answer,
          ),
      });
      expect((await run(two)).dropped.chunks).toBe(1);
      expect(placesOf(dataIds()[1] as ChunkId).sort()).toEqual(['', 'archive']);
    });

    it('does not count two peers of one site as two sites', async () => {
      await snapshot(fixture.dir('', [file('a')]));
      addHolder({ id: 'cc'.repeat(16) });
      addHolder({ id: 'dd'.repeat(16) });
      expect((await run(policy({ cold: undefined, copies: 2, sites: 2 }))).dropped.chunks).toBe(0);
      addHolder({ id: 'ee'.repeat(16), site: 'far' });
      expect((await run(policy({ cold: undefined, copies: 2, sites: 2 }))).dropped.chunks).toBe(1);
    });

    it('counts stores behind one bucket, and that bucket, once', async () => {
      await snapshot(fixture.dir('', [file('a')]));
      addHolder({ id: 'cc'.repeat(16) });
      addHolder({ id: 'dd'.repeat(16), site: 'far' });
      const behind = (location: string) => [{ storeId: BUCKET_WITNESS.storeId, location, shards: [1] }];
      said = () => ({ backing: behind('99'.repeat(32)) });
      expect((await run(policy({ cold: undefined, copies: 2, sites: 1 }))).dropped.chunks).toBe(0);
      expect((await run(policy({ cold: undefined, copies: 1, sites: 2 }))).dropped.chunks).toBe(0);
      said = () => ({ backing: behind(BUCKET_WITNESS.location) });
      expect((await run(two)).dropped.chunks).toBe(0);
      said = (id) => ({ backing: id.startsWith('c') ? behind(BUCKET_WITNESS.location) : [] });
      expect((await run(two)).dropped.chunks).toBe(1);
    });

    it('does not count an answer of another trail, of an older incarnation, under another layout, or of a holder that is not ranked', async () => {
      await snapshot(fixture.dir('', [file('a')]));
      addHolder();
      const position = store.chain.position()!;
      for (const wrong of [undefined, { ...position, link: '00'.repeat(32) }, { ...position, incarnation: 2 }]) {
        said = () => ({ position: wrong });
        expect((await run(two)).notes.join()).toMatch(/does not follow/);
      }
      said = () => ({ layoutVersion: LAYOUT_VERSION + 1 });
      expect((await run(two)).notes.join()).toMatch(/does not follow/);
      const { link, site } = peers.get(holderId)!;
      const report = await applyDemote(await planDemote(inputOf(two), deps()), {
        ...deps(),
        witnesses: { holder: async () => undefined, bucket: witnessBucket },
      });
      expect(report.notes.join()).toMatch(/not among the holders/);
      expect([link.agent, site, report.dropped.chunks]).toEqual([holderId, 'dc', 0]);
      expect(placesOf(dataIds()[0]!).sort()).toEqual(['', 'archive']);
    });

    it('drops nothing once this machine is known to have been put back', async () => {
      await snapshot(fixture.dir('', [file('a')]));
      addHolder();
      const right = witnessBucket;
      witnessBucket = async () => {
        // While the job is under way.
        isPutBack = true;
        return right();
      };
      const report = await run(two);
      expect([report.kept.chunks, report.dropped.chunks]).toEqual([1, 0]);
    });

    it('counts as kept, not as dropped, what a running session relies on', async () => {
      await snapshot(fixture.dir('', [file('a'), file('b')]));
      addHolder({ id: 'cc'.repeat(16) });
      const session = store.index.chunks.beginSession('sync');
      store.index.chunks.claim(session, dataIds().slice(0, 1));
      const report = await run(policy({ cold: undefined }));
      expect([report.kept.chunks, report.dropped.chunks]).toEqual([1, 1]);
      store.index.chunks.endSession(session);
    });

    it('does not take a statement for a copy', async () => {
      await snapshot(fixture.dir('', [file('a')]));
      notePlaced(holderId, dataIds());
      expect((await run(two)).dropped.chunks).toBe(0);
      expect((await run(policy({ cold: undefined }))).dropped.chunks).toBe(0);
    });
  });
});

describe('recall and status', () => {
  it('brings a path back, counts it as read, and finds the packs again without an index', async () => {
    await snapshot(fixture.dir('', [file('a'), fixture.dir('sub', [file('b'), file('c')])]));
    await run(policy());
    const { body } = store.index.log.snapshots()[0]!;
    const plan = await planRecall({ body, path: Buffer.from('sub') }, deps());
    expect(plan.chunks.length).toBe(2);
    expect(await applyRecall(plan, deps())).toMatchObject({ chunks: 2, failures: [] });
    expect((await planRecall({ body, path: Buffer.from('sub') }, deps())).present).toBe(2);
    const aged = policy({ hotNs: DAY_NS, warmNs: DAY_NS });
    expect((await planDemote(inputOf(aged), deps())).drop.chunks).toBe(0);

    const status = await tierStatus(inputOf(policy()), deps());
    const rows = status.rows.map(({ tier, where, chunks }) => ({ tier, where, chunks }));
    expect(rows).toContainEqual({ tier: 'cold', where: { place: 'store', store: 'archive' }, chunks: 3 });
    expect(rows).toContainEqual({ tier: 'cold', where: { place: 'local' }, chunks: 2 });

    for (const pack of store.index.chunks.packs('archive')) store.index.chunks.forgetPack(pack.name, 'archive');
    const learned = await learnPacks(bucket, agent, { index: store.index.chunks, nowNs: 5n });
    expect(learned.added).toBe(1);
    expect(await readable(dataIds())).toBe(5);
    for await (const { key } of objects.list('')) if (key.endsWith('.pack')) await objects.delete(key);
    expect((await learnPacks(bucket, agent, { index: store.index.chunks, nowNs: 5n })).gone.length).toBe(1);
  });

  it('names the chunks that nobody has', async () => {
    await snapshot(fixture.dir('', [file('a')]));
    await run(policy());
    for await (const { key } of objects.list('')) if (key.endsWith('.pack')) await objects.delete(key);
    const { body } = store.index.log.snapshots()[0]!;
    const plan = await planRecall({ body, path: new Uint8Array(0) }, deps());
    const report = await applyRecall(plan, deps());
    expect(report.chunks).toBe(0);
    expect(report.failures.length).toBe(1);
  });

  it('explains a file', async () => {
    await snapshot(fixture.dir('', [file('a')]));
    const [row] = store.index.log.snapshots();
    if (row === undefined) throw new Error('no snapshot');
    const explain = (one: TierPolicy | undefined) =>
      explainTier({ ...inputOf(one), snapshot: row, path: Buffer.from('a') }, deps());
    expect((await explain(policy())).tier).toBe('cold');
    expect((await explain(policy({ hotNs: DAY_NS, warmNs: DAY_NS }))).tier).toBe('hot');
    expect((await explain(undefined)).reasons[0]).toMatch(/no \[tiering\]/);
    await expect(
      explainTier({ ...inputOf(policy()), snapshot: row, path: Buffer.from('nope') }, deps()),
    ).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
  });
});
