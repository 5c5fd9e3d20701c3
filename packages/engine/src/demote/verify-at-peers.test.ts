/** P5 at a real holder, step by step: its statement, its bytes, and what the drop sees (docs/decisions/050-chain-mended.md, M1). */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createOpener } from '../codec/open.ts';
import { loadSodium } from '../codec/sodium.ts';
import { createAskedChunks } from '../core/asked-chunks.ts';
import type { ChunkId } from '../core/ids.ts';
import type { SealedChunk } from '../core/ports/chunk-store.ts';
import { publicKeyOf } from '../keys/ed25519.ts';
import { createReplicator, type Replicator } from '../replicate/replicator.ts';
import { openPutBack } from '../store/put-back.ts';
import { type HolderFixture, openHolderFixture } from '../testing/holder-fixture.ts';
import { chunkSealer, formOf } from '../testing/owner-fixture.ts';
import { realClock } from '../testing/real-clock.ts';
import { createSeededRandom } from '../testing/seeded-random.ts';
import {
  FIXTURE_SELF,
  FIXTURE_SIGN_SEED,
  FIXTURE_VAULT,
  fixtureKeys,
  type OpenedStore,
  openStore,
  storeChunks,
  temporaryFolder,
} from '../testing/store-fixture.ts';
import { applyDemote } from './apply-demote.ts';
import type { DemoteDeps, DemotePlan, DemoteReport, PlannedChunk, PlannedChunks } from './demote-types.ts';

const sodium = await loadSodium();
const random = createSeededRandom('P5');
const sealed = chunkSealer(random);
const identity = { agentId: FIXTURE_SELF, incarnation: 1, signSeed: FIXTURE_SIGN_SEED };

let folder: ReturnType<typeof temporaryFolder>;
let owner: OpenedStore;
let at: HolderFixture;
let replicator: Replicator;
let deps: DemoteDeps;

beforeEach(async () => {
  folder = temporaryFolder();
  owner = await openStore(join(folder.path, 'owner'));
  await openHolder();
  const asked = createAskedChunks();
  const putBack = await openPutBack(join(folder.path, 'put-back'), identity);
  const shared = {
    clock: realClock,
    random,
    sodium,
    opener: createOpener(sodium, fixtureKeys()),
    vault: FIXTURE_VAULT,
    self: identity,
    index: owner.index,
    chains: owner.chains,
    sources: [owner.chunks],
    peers: { members: () => [at.member], link: () => at.link },
  };
  replicator = createReplicator({
    ...shared,
    chain: owner.chain,
    putBack,
    asked,
    files: { descriptor: async () => new Uint8Array(0), slots: async () => [], cards: async () => [] },
    policy: () => ({ copies: 1, sites: 1, store: undefined }),
    coldStores: () => [],
    bucket: async () => {
      throw new Error('no bucket');
    },
  });
  deps = {
    ...shared,
    chunks: owner.chunks,
    placed: { targetsOf: (ids) => ids.map(() => [{ target: at.member.agent, askedNs: 1n }]) },
    buckets: new Map(),
    witnesses: replicator.witnesses,
    asked,
    isPutBack: () => putBack.get() !== undefined,
    warn: () => {},
  };
});
afterEach(() => {
  owner.close();
  at.close();
  folder.remove();
});

async function openHolder(): Promise<void> {
  at = await openHolderFixture(join(folder.path, 'holder'), {
    ownerKey: publicKeyOf(sodium, FIXTURE_SIGN_SEED),
  });
}

async function record(): Promise<void> {
  await owner.chain.append({ type: 'unpin', snapshot: toLink() });
}
const toLink = () => randomBytes(32).toString('hex');

async function capture(chunks: readonly SealedChunk[], shard = 1): Promise<void> {
  await owner.chain.add(shard, chunks.map(formOf));
  await record();
}
async function release(chunk: SealedChunk, shard = 1): Promise<void> {
  expect(await owner.chain.release(shard, [chunk.id], owner.chain.position()!.seq)).toBe(1);
}
async function replicate(): Promise<void> {
  await replicator.run(replicator.targets()[0]!);
}

/** One chunk that is here, held, and at the holder. */
async function placed(): Promise<SealedChunk> {
  const chunk = sealed(`text ${toLink()}`);
  await storeChunks(owner, [chunk]);
  await capture([chunk]);
  await replicate();
  return chunk;
}

function demote(chunks: readonly SealedChunk[], over: Partial<DemoteDeps> = {}): Promise<DemoteReport> {
  const rows = owner.index.chunks.locate(chunks.map(({ id }) => id)).map(([local]) => local as PlannedChunk);
  const listOf = (list: readonly PlannedChunk[]): PlannedChunks =>
    Object.assign([...list], {
      count: list.length,
      bytes: list.reduce((sum, { sealedBytes }) => sum + sealedBytes, 0),
    });
  const all = { chunks: rows.length, bytes: 1 };
  const plan: DemotePlan = {
    id: toLink(),
    parts: [{ store: undefined, copies: 1, sites: 1, put: listOf([]), check: listOf(rows) }],
    put: { chunks: 0, bytes: 0 },
    drop: all,
    requests: 0,
    oldestNs: undefined,
    notes: [],
  };
  return applyDemote(plan, { ...deps, ...over });
}
const isHere = ({ id }: { readonly id: ChunkId }): boolean => owner.index.chunks.locate([id])[0]!.length > 0;

test('a chunk that the holder holds, and whose bytes it shows, goes', async () => {
  const chunk = await placed();
  expect((await demote([chunk])).dropped.chunks).toBe(1);
  expect(isHere(chunk)).toBe(false);
});

// Model A5: its frame is there, in grace, and the add that holds it anew has not come.
test('a chunk that was released there and added again here stays until the add has come', async () => {
  const chunk = await placed();
  await release(chunk);
  await replicate();
  await capture([chunk]);
  expect(await at.link.verify(new Uint8Array(32), [chunk.id], 'sealed')).not.toEqual([undefined]);
  const report = await demote([chunk]);
  expect([report.dropped.chunks, report.kept.chunks]).toEqual([0, 1]);
  expect(report.notes.join()).toMatch(/does not hold it as it is held here/);
  expect(isHere(chunk)).toBe(true);
  await replicate();
  expect((await demote([chunk])).dropped.chunks).toBe(1);
});

test('a chunk that is held in two shards is held there in both, or it stays', async () => {
  const chunk = await placed();
  await capture([chunk], 2);
  expect((await demote([chunk])).dropped.chunks).toBe(0);
  await replicate();
  expect((await demote([chunk])).dropped.chunks).toBe(1);
});

test('a chunk that no own shard holds has no copy elsewhere that lasts', async () => {
  const chunk = await placed();
  await release(chunk);
  await replicate();
  expect((await demote([chunk])).dropped.chunks).toBe(0);
});

test('a chunk on the list of what the holder lacks is not counted, the others of its shard are', async () => {
  const [good, lost] = [await placed(), await placed()];
  const [row] = at.store.index.chunks.locate([lost.id])[0]!;
  at.store.index.chunks.markCopies([{ id: lost.id, pack: row!.pack, reason: 'damaged', why: 'test' }]);
  const report = await demote([lost, good]);
  expect(report.dropped.chunks).toBe(1);
  expect([isHere(good), isHere(lost)]).toEqual([false, true]);
});

test('a holder that was started again between its statement and the end of its reading is asked by another job', async () => {
  const chunk = await placed();
  const { link } = at;
  let isFirst = true;
  const stops = {
    ...link,
    verify: async (...args: Parameters<typeof link.verify>) => {
      if (isFirst) {
        isFirst = false;
        at.close();
        await openHolder();
      }
      return at.link.verify(...args);
    },
    source: new Proxy(link.source, { get: (_, key) => Reflect.get(at.link.source, key) }),
  };
  const report = await demote([chunk], { peers: { members: () => [at.member], link: () => stops } });
  expect(report.dropped.chunks).toBe(0);
  expect(report.notes.join()).toMatch(/started again/);
  expect((await demote([chunk])).dropped.chunks).toBe(1);
});

test('a holder that lost something while it was read is asked by another job', async () => {
  const chunk = await placed();
  at.after = (step) => {
    if (step === 'verify') at.store.identityOfStore.raiseEpoch();
  };
  const report = await demote([chunk]);
  expect([report.dropped.chunks, report.kept.chunks]).toEqual([0, 1]);
  at.after = () => {};
  expect((await demote([chunk])).dropped.chunks).toBe(1);
});

test('the bytes are read after the statement, and asked about once more behind them', async () => {
  const chunk = await placed();
  const steps: string[] = [];
  at.before = (step) => void steps.push(step);
  await demote([chunk]);
  expect(steps).toEqual(['statement', 'verify', 'statement']);
});

// Model A7.
test('a chunk that is released and added again between its verification and the drop stays', async () => {
  const chunk = await placed();
  const drop: DemoteDeps['chunks']['drop'] = async (...args) => {
    await release(chunk);
    await capture([chunk]);
    return owner.chunks.drop(...args);
  };
  const report = await demote([chunk], { chunks: { verify: owner.chunks.verify, drop } });
  expect([report.dropped.chunks, report.kept.chunks]).toEqual([0, 1]);
  expect(isHere(chunk)).toBe(true);
});

test('a chunk that a session claims before the drop stays, wherever its other rows are', async () => {
  const chunk = await placed();
  const [row] = owner.index.chunks.locate([chunk.id])[0]!;
  // A row of a bucket that nobody asked in this job.
  owner.index.chunks.addPack(
    { name: toLink(), store: 'far', packClass: 'data', bytes: 1000, frames: 1, createdNs: 0n },
    [{ ...row!, offset: 40 }],
  );
  const session = owner.index.chunks.beginSession('sync');
  owner.index.chunks.claim(session, [chunk.id]);
  expect((await demote([chunk])).kept.chunks).toBe(1);
  owner.index.chunks.endSession(session);
  expect((await demote([chunk])).dropped.chunks).toBe(1);
});

test('a holder that the layout does not rank is not counted', async () => {
  const chunk = await placed();
  const report = await demote([chunk], {
    witnesses: { ...replicator.witnesses, holder: async () => undefined },
  });
  expect(report.dropped.chunks).toBe(0);
  expect(await replicator.witnesses.holder('aa'.repeat(16))).toBeUndefined();
});
