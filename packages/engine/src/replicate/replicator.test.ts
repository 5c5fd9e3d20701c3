import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { encodeStatement, type Statement, verifyStatement } from '../chain/statement.ts';
import { createOpener } from '../codec/open.ts';
import { loadSodium } from '../codec/sodium.ts';
import { createAskedChunks } from '../core/asked-chunks.ts';
import { EdgeError } from '../core/errors.ts';
import type { PeerLink } from '../core/ports/peer.ts';
import { publicKeyOf } from '../keys/ed25519.ts';
import { openPutBack } from '../store/put-back.ts';
import { type CaptureFixture, captureFixturePool, openCaptureFixture } from '../testing/capture-fixture.ts';
import { type HolderFixture, openHolderFixture } from '../testing/holder-fixture.ts';
import { realClock } from '../testing/real-clock.ts';
import { createSeededRandom } from '../testing/seeded-random.ts';
import {
  FIXTURE_SELF,
  FIXTURE_SIGN_SEED,
  FIXTURE_VAULT,
  fixtureKeys,
  temporaryFolder,
} from '../testing/store-fixture.ts';
import { createReplicator, type RecordRef, type Replicator, type ReplicatorDeps } from './replicator.ts';

const sodium = await loadSodium();
const random = createSeededRandom('replicator');
const pool = captureFixturePool(1);
const ownerKey = publicKeyOf(sodium, FIXTURE_SIGN_SEED);
const A = 'ee'.repeat(16);
const B = 'dd'.repeat(16);

let folder: ReturnType<typeof temporaryFolder>;
let owner: CaptureFixture;
let holders: HolderFixture[];

afterAll(() => pool.close());
beforeEach(async () => {
  folder = temporaryFolder();
  mkdirSync(join(folder.path, 'files/deep/deeper'), { recursive: true });
  for (let i = 0; i < 40; i++) writeFileSync(join(folder.path, `files/deep/${i}`), `content ${i} `.repeat(200 + i));
  writeFileSync(join(folder.path, 'files/deep/deeper/large'), createSeededRandom('large')(400_000));
  owner = await openCaptureFixture(join(folder.path, 'owner'), { pool });
  holders = [];
});
afterEach(async () => {
  await owner.close();
  for (const holder of holders) holder.close();
  folder.remove();
});

async function openHolder(agent = A, site = 'a'): Promise<HolderFixture> {
  const known = holders.findIndex((holder) => holder.member.agent === agent);
  if (known >= 0) holders.splice(known, 1)[0]!.close();
  const holder = await openHolderFixture(join(folder.path, agent), { ownerKey, agent, site, name: `dc-${site}` });
  holders.push(holder);
  return holder;
}

async function sync(name = 'files'): Promise<RecordRef & { readonly seq: number }> {
  const report = await owner.capture({ root: { name, path: Buffer.from(join(folder.path, name)) } });
  return { id: report.snapshot!, seq: report.seq! };
}

async function replicatorOf(
  links: readonly PeerLink[] = holders.map(({ link }) => link),
  over: Partial<ReplicatorDeps> = {},
): Promise<Replicator> {
  const { store } = owner;
  return createReplicator({
    clock: realClock,
    random,
    sodium,
    opener: createOpener(sodium, fixtureKeys()),
    vault: FIXTURE_VAULT,
    self: { agentId: FIXTURE_SELF, incarnation: 1, signSeed: FIXTURE_SIGN_SEED },
    index: store.index,
    chains: store.chains,
    chain: store.chain,
    asked: createAskedChunks(),
    putBack: await openPutBack(join(folder.path, 'owner/put-back'), { agentId: FIXTURE_SELF, incarnation: 1 }),
    sources: [store.chunks],
    files: { descriptor: async () => new Uint8Array(0), slots: async () => [], cards: async () => [] },
    peers: {
      members: () => holders.map(({ member }) => member),
      link: (agent) => links.find((link) => link.agent === agent),
    },
    policy: () => ({ copies: holders.length, sites: 1, store: undefined }),
    coldStores: () => [],
    bucket: async () => {
      throw new Error('no bucket');
    },
    ...over,
  });
}

const row = ({ id }: RecordRef) => owner.store.index.log.snapshot(id)!;
const wait = (
  replicator: Replicator,
  record: RecordRef,
  level: Parameters<Replicator['waitFor']>[1],
  timeoutMs = 20_000,
) => replicator.waitFor([record], level, { timeoutMs });
const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'no error',
    (error: unknown) => (error as EdgeError).code,
  );

/** A link whose statements are changed, signed by the holder's own key. */
function lying(holder: HolderFixture, change: (said: Statement) => Partial<Statement>): PeerLink {
  return {
    ...holder.link,
    statement: async (question) => {
      const { statement, lists } = await holder.link.statement(question);
      const said = verifyStatement(sodium, statement, holder.member.signPublicKey);
      const seed = new Uint8Array(32).fill(Number.parseInt(holder.member.agent.slice(0, 2), 16));
      return { statement: encodeStatement(sodium, { ...said, ...change(said) }, seed), lists };
    },
  };
}

const dropPacks = (holder: HolderFixture): void => {
  holder.close();
  const packs = join(holder.store.dataDir.path, 'packs');
  for (const name of readdirSync(packs, { recursive: true, encoding: 'utf8' }))
    if (name.endsWith('.pack')) rmSync(join(packs, name));
};

test('a try that a clock ahead by years put off is due with the right one', async () => {
  const holder = await openHolder();
  await sync();
  const down = {
    ...holder.link,
    statement: () => Promise.reject(new EdgeError('E_STORE', 'away', { retryable: true })),
  };
  const years = 10n * 365n * 86_400n * 1_000_000_000n;
  const ahead = { ...realClock, nowNs: () => realClock.nowNs() + years };
  const before = await replicatorOf([down], { clock: ahead });
  before.owe();
  const [target] = before.targets();
  expect(await codeOf(before.run(target!))).toBe('E_STORE');
  expect(before.due()).toEqual([]);
  const now = await replicatorOf();
  expect(now.due()).toEqual([target]);
  expect(now.nextDueNs()! <= realClock.nowNs()).toBe(true);
  expect(now.status()[0]!.nextTryNs! <= realClock.nowNs()).toBe(true);
});

describe('levels', () => {
  test('waiting drives the targets, tells what was reached, and gives up in time', async () => {
    await openHolder();
    const record = await sync();
    const replicator = await replicatorOf();
    replicator.owe();
    const reached = await wait(replicator, record, { kind: 'peers', count: 1 });
    expect(reached).toMatchObject({ peers: 1, sites: 1, copies: 1, s3: false });
    expect(reached.holders.map(({ name }) => name)).toEqual(['dc-a']);
    expect(replicator.status()[0]).toMatchObject({ pending: 0, acknowledged: owner.store.chain.position() });
    const error = (await wait(replicator, record, { kind: 'peers', count: 2 }, 300).catch(
      (e: unknown) => e,
    )) as EdgeError;
    expect(error.exitCode).toBe(5);
    expect(error.message).toContain('1 peer(s) (dc-a)');
  });

  test('nothing is acknowledged from memory: a holder that lost everything is asked, refilled, and only then counts', async () => {
    const holder = await openHolder();
    const record = await sync();
    const first = await replicatorOf();
    await wait(first, record, { kind: 'sites', count: 1 });
    dropPacks(holder);
    const again = await openHolder();
    // Nothing was captured in between, and what was noted says that all is well.
    const replicator = await replicatorOf();
    expect(await replicator.durability(row(record))).toMatchObject({ peers: 1 });
    again.before = (step) => {
      if (step === 'frames') throw new EdgeError('E_STORE', 'the line broke', { retryable: true });
    };
    expect(await codeOf(wait(replicator, record, { kind: 'sites', count: 1 }, 500))).toBe('E_NOT_ENOUGH_COPIES');
    expect(await replicator.durability(row(record))).toMatchObject({ peers: 0 });
    again.before = () => {};
    expect(await wait(replicator, record, { kind: 'sites', count: 1 })).toMatchObject({ sites: 1 });
    expect(again.store.chains.shards(FIXTURE_SELF)[0]).toMatchObject({ lost: 0, wanted: 0 });
  });

  test('a status asks without sending, and what it is told counts from then on', async () => {
    const holder = await openHolder();
    const record = await sync();
    await wait(await replicatorOf(), record, { kind: 'peers', count: 1 });
    dropPacks(holder);
    await openHolder();
    const replicator = await replicatorOf();
    await replicator.ask(replicator.targets()[0]!);
    expect(replicator.status()[0]!.lacks!.lost).toBeGreaterThan(0);
    expect(await replicator.durability(row(record))).toMatchObject({ peers: 0, copies: 0 });
  });

  test('a chunk that nobody has holds up only the snapshots that reach it', async () => {
    const holder = await openHolder();
    const first = await sync();
    await wait(await replicatorOf(), first, { kind: 'peers', count: 1 });
    // One chunk of the first snapshot goes everywhere: at the holder, and here.
    const { entry } = row(first).body;
    const gone = owner.store.chains.forms(FIXTURE_SELF, 1)[0]!;
    expect(entry.pages!.length).toBeGreaterThan(0);
    await owner.store.chunks.drop([gone.id]);
    dropPacks(holder);
    await openHolder();
    mkdirSync(join(folder.path, 'others'));
    writeFileSync(join(folder.path, 'others/file'), 'another root');
    const other = await sync('others');
    const replicator = await replicatorOf();
    expect(await wait(replicator, other, { kind: 'peers', count: 1 })).toMatchObject({ peers: 1 });
    expect(await codeOf(wait(replicator, first, { kind: 'peers', count: 1 }, 500))).toBe('E_NOT_ENOUGH_COPIES');
    // The same shard: the list of what the holder lacks, and what the snapshot reaches, decide.
    rmSync(join(folder.path, 'files/deep'), { recursive: true });
    writeFileSync(join(folder.path, 'files/new'), 'only this');
    const later = await sync();
    expect(await wait(replicator, later, { kind: 'peers', count: 1 })).toMatchObject({ peers: 1 });
  });

  test.each<[string, Partial<Statement>]>([
    ['of an older incarnation', {}],
    ['under another layout', { layoutVersion: 7 }],
  ])('an answer %s counts for nothing', async (what, change) => {
    const holder = await openHolder();
    const record = await sync();
    await wait(await replicatorOf(), record, { kind: 'peers', count: 1 });
    const link = lying(holder, () => change);
    const self = { agentId: FIXTURE_SELF, incarnation: what.includes('older') ? 2 : 1, signSeed: FIXTURE_SIGN_SEED };
    const replicator = await replicatorOf([link], { self });
    await replicator.ask(replicator.targets()[0]!);
    expect(await replicator.durability(row(record))).toMatchObject({ peers: 0 });
  });

  test('two agents with one store id, or behind one bucket, are one copy', async () => {
    const a = await openHolder(A, 'a');
    const b = await openHolder(B, 'b');
    const record = await sync();
    const both = await replicatorOf();
    expect(await wait(both, record, { kind: 'peers', count: 2 })).toMatchObject({ peers: 2, sites: 2 });
    const one = await replicatorOf([a.link, lying(b, () => ({ storeId: a.store.identityOfStore.storeId }))]);
    expect(await codeOf(wait(one, record, { kind: 'peers', count: 2 }, 1000))).toBe('E_NOT_ENOUGH_COPIES');
    const backing = [{ storeId: '11'.repeat(16), location: '22'.repeat(32), shards: [row(record).shard] }];
    const backed = await replicatorOf([lying(a, () => ({ backing })), lying(b, () => ({ backing }))]);
    expect(await codeOf(wait(backed, record, { kind: 'sites', count: 2 }, 1000))).toBe('E_NOT_ENOUGH_COPIES');
  });
});

describe('what is owed', () => {
  test('is one row a target, kept with its reason and tried later', async () => {
    const holder = await openHolder();
    await sync();
    const replicator = await replicatorOf();
    replicator.owe();
    writeFileSync(join(folder.path, 'files/one'), 'more');
    await sync();
    replicator.owe();
    expect(owner.store.index.owed.rows()).toHaveLength(1);
    expect(replicator.due()).toHaveLength(1);
    holder.before = () => {
      throw new EdgeError('E_NO_SPACE', 'the holder is full');
    };
    expect(await codeOf(replicator.run(replicator.targets()[0]!))).toBe('E_NO_SPACE');
    expect(replicator.due()).toHaveLength(0);
    expect(replicator.status()[0]).toMatchObject({
      attempts: 1,
      lastError: expect.stringContaining('the holder is full'),
    });
    expect(replicator.status()[0]!.pending).toBeGreaterThan(0);
    holder.before = () => {};
    await replicator.run(replicator.targets()[0]!);
    expect(owner.store.index.owed.rows()).toEqual([]);
  });

  test('what comes while a pass is under way stays owed', async () => {
    const holder = await openHolder();
    await sync();
    const replicator = await replicatorOf();
    replicator.owe();
    let isFirst = true;
    let meanwhile: Promise<unknown> = Promise.resolve();
    holder.before = (step) => {
      if (step !== 'frames' || !isFirst) return;
      isFirst = false;
      writeFileSync(join(folder.path, 'files/meanwhile'), 'more');
      meanwhile = sync().then(() => replicator.owe());
    };
    await replicator.run(replicator.targets()[0]!);
    await meanwhile;
    expect(replicator.due()).toHaveLength(1);
    await replicator.run(replicator.targets()[0]!);
    expect(replicator.due()).toHaveLength(0);
  });

  test('a pass is shared, and aborted when nobody waits any more', async () => {
    const holder = await openHolder();
    await sync();
    const replicator = await replicatorOf();
    let questions = 0;
    holder.before = (step) => void (step === 'statement' && questions++);
    const [target] = replicator.targets();
    const leaving = new AbortController();
    const left = codeOf(replicator.run(target!, leaving.signal));
    const stays = replicator.run(target!);
    leaving.abort(new EdgeError('E_INTERRUPTED', 'left'));
    expect(await left).toBe('E_INTERRUPTED');
    expect((await stays).position).toEqual(owner.store.chain.position());
    expect(questions).toBe(2);
  });
});

test('a start id that comes back after another one proves two machines', async () => {
  const holder = await openHolder();
  await sync();
  const starts = ['11', '22', '11'].map((two) => two.repeat(16));
  let at = 0;
  const replicator = await replicatorOf([lying(holder, () => ({ startId: starts[at]! }))]);
  for (; at < 3; at++) {
    await replicator.ask(replicator.targets()[0]!);
    expect(replicator.status()[0]!.isCloned).toBe(at === 2);
  }
});

test('where chunks lie is computed from what was answered', async () => {
  const holder = await openHolder();
  await sync();
  const replicator = await replicatorOf();
  const ids = owner.store.chains.forms(FIXTURE_SELF, 1).map(({ id }) => id);
  expect([...replicator.placed.placed(A, ids)]).toEqual(ids.map(() => 0));
  await replicator.run(replicator.targets()[0]!);
  expect([...replicator.placed.placed(A, ids)]).toEqual(ids.map(() => 1));
  expect(replicator.placed.targetsOf(ids.slice(0, 1))[0]).toMatchObject([{ target: A }]);
  // One frame goes: the list that comes with the next answer names it.
  const lost = ids[3]!;
  const copy = holder.store.index.chunks.locate([lost])[0]![0]!;
  holder.store.index.chunks.markBad(lost, copy.pack, 'changed on the medium');
  await replicator.ask(replicator.targets()[0]!);
  expect([...replicator.placed.placed(A, ids)]).toEqual(ids.map((id) => (id === lost ? 0 : 1)));
});

test('what was answered is void once this machine is known to have been put back, and at each start from then on', async () => {
  await openHolder();
  await sync();
  let voided = 0;
  const path = join(folder.path, 'owner/put-back');
  const self = { agentId: FIXTURE_SELF, incarnation: 1 };
  const putBack = await openPutBack(path, self, () => void voided++);
  const replicator = await replicatorOf(undefined, { putBack });
  const ids = owner.store.chains.forms(FIXTURE_SELF, 1).map(({ id }) => id);
  await replicator.run(replicator.targets()[0]!);
  expect([...replicator.placed.placed(A, ids)]).toEqual(ids.map(() => 1));
  expect(voided).toBe(0);
  await putBack.set({ position: owner.store.chain.position()!, shownBy: 'dc-a', sinceNs: 1n });
  expect([...replicator.placed.placed(A, ids)]).toEqual(ids.map(() => 0));
  expect(replicator.placed.targetsOf(ids)).toEqual(ids.map(() => []));
  await openPutBack(path, self, () => void voided++);
  expect(voided).toBe(2);
});
