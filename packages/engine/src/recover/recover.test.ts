import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ChainItem, encodeChainSegment, segmentKey } from '../chain/chain-segment.ts';
import { EntryKind, verifyHead } from '../chain/entry-head.ts';
import type { Form } from '../chain/forms.ts';
import { openCheckpointPart } from '../chain/record-checkpoint.ts';
import { openRecordEntry, type WholeEntry } from '../chain/record-entry.ts';
import { loadSodium } from '../codec/sodium.ts';
import type { EdgeError } from '../core/errors.ts';
import { armFailpoints } from '../core/failpoint.ts';
import { type ChunkKind, packClassOf, toHex } from '../core/ids.ts';
import type { ObjectStore } from '../core/ports/object-store.ts';
import { openEngine } from '../engine.ts';
import { type Card, encodeCard, verifyCard } from '../keys/card.ts';
import { publicKeyOf } from '../keys/ed25519.ts';
import { wrapGeneration } from '../keys/key-generation.ts';
import { recoveryProofPublicKey } from '../keys/recovery-proof.ts';
import { encodeSlotRemoval } from '../keys/slot-removal.ts';
import { createSlot } from '../keys/unlock.ts';
import { encodeVaultDescriptor, openVaultDescriptor } from '../keys/vault-descriptor.ts';
import { parseBucketKey } from '../store/bucket/bucket-layout.ts';
import { openBucketPacks } from '../store/bucket/bucket-packs.ts';
import { openBucketVault } from '../store/bucket/bucket-vault.ts';
import { chainFile, chainFilesIn, chainFolder } from '../store/chains/chain-paths.ts';
import { type EntrySpool, openEntrySpool } from '../store/chains/entry-spool.ts';
import { scanChainFile } from '../store/chains/scan-chain-file.ts';
import { dataDirAt } from '../store/data-dir.ts';
import { createMemoryObjectStore } from '../store/objects/memory.ts';
import { fixtureDescriptor } from '../testing/descriptor-fixture.ts';
import { makePack } from '../testing/make-pack.ts';
import { createMemoryChain, type MemoryChain } from '../testing/memory-chain.ts';
import { realClock } from '../testing/real-clock.ts';
import { createSeededRandom } from '../testing/seeded-random.ts';
import { temporaryFolder } from '../testing/store-fixture.ts';
import { createSwappedObjectStore } from '../testing/swapped-object-store.ts';
import { createTreeFixture, type TreeFixture } from '../testing/tree-fixture.ts';
import { applyRecover, beginRecover } from './apply-recover.ts';
import { openBucketRecovery } from './bucket-recovery.ts';
import { planRecover } from './plan-recover.ts';
import type { NewLife, RecoverPlan } from './recover-types.ts';

const sodium = await loadSodium();
const SEED = 'recover';
/** The same stream as the tree fixture's, whose vault this is. */
const stream = createSeededRandom(SEED);
const vault = toHex(stream(16));
const vaultKey = stream(32);
const random = createSeededRandom('recover test');
const adminSeed = random(32);

let fixture: TreeFixture;
let folder: ReturnType<typeof temporaryFolder>;
let warnings: string[];

beforeEach(async () => {
  fixture = await createTreeFixture(SEED);
  folder = temporaryFolder();
  warnings = [];
});
afterEach(async () => {
  for (const spool of spools) await spool.discard();
  spools = [];
  folder.remove();
});

const warn = ({ message }: { message: string }) => void warnings.push(message);

const newAgent = (name: string, role: Card['role'] = 'edge') =>
  createMemoryChain({ keys: fixture.keys, adminSeed, random, name, role });

/** A bucket with the vault's files, these agents' cards and logs, and those of the fixture's chunks that are wanted. */
async function newBucket(
  agents: readonly ReturnType<typeof newAgent>[],
  wanted: (kind: ChunkKind, id: string) => boolean = () => true,
  label = 's3://bucket',
): Promise<ObjectStore> {
  const store = createMemoryObjectStore(label);
  const files = openBucketVault(store, vault);
  const descriptor = {
    vaultId: vault,
    formatVersion: 1,
    criticalFeatures: [],
    chunker: { name: 'fastcdc-1' as const, min: 128 * 1024, avg: 512 * 1024, max: 2048 * 1024 },
    keyTable: [
      {
        keyId: fixture.keys.currentKeyId,
        createdNs: 1n,
        wrapped: wrapGeneration(
          sodium,
          fixture.keys,
          { keyId: fixture.keys.currentKeyId, secret: vaultKey },
          createSeededRandom('wrap'),
        ),
      },
    ],
    adminPublicKey: publicKeyOf(sodium, adminSeed),
    proofPublicKey: recoveryProofPublicKey(sodium, fixture.keys),
    epoch: 1,
    previous: undefined,
  };
  await files.putDescriptor(encodeVaultDescriptor(sodium, descriptor, { macKey: fixture.keys.macKey, adminSeed }));
  const slot = await createSlot(
    sodium,
    { type: 'recovery', secret: adminSeed },
    { vaultId: vault, label: 'sheet', scope: 'shared', vaultKey, adminSeed },
    random,
  );
  await files.putSlot(slot.slotId, slot.bytes);
  for (const agent of agents) {
    for (const card of agent.cards) await files.putCard(card, card.bytes);
    const last = agent.entries.length;
    const half = Math.ceil(last / 2);
    await putEntries(store, agent.entries.slice(0, half));
    if (half < last) await putEntries(store, agent.entries.slice(half));
  }
  const owner = { agent: agents[0]?.agentId ?? '', incarnation: 1 };
  const packs = openBucketPacks({ store, vault, life: owner, requireIdentity: async () => {} });
  for (const packClass of ['data', 'meta'] as const) {
    const chunks = [...fixture.chunks.values()]
      .filter(({ kind, id }) => packClassOf(kind) === packClass && wanted(kind, toHex(id)))
      .map(({ id, sealed }) => ({
        id,
        packClass,
        keyId: fixture.keys.currentKeyId,
        bytes: sealed,
        sha256: createHash('sha256').update(sealed).digest(),
        identified: true,
      }));
    if (chunks.length === 0) continue;
    const pack = makePack(vault, chunks, packClass);
    await packs.put({ name: pack.name, packClass }, pack.body);
  }
  return store;
}

/** One segment for each incarnation among them. */
async function putEntries(store: ObjectStore, entries: readonly WholeEntry[]): Promise<void> {
  const files = openBucketVault(store, vault);
  for (const incarnation of new Set(entries.map(({ head }) => head.header.incarnation))) {
    const group = entries.filter(({ head }) => head.header.incarnation === incarnation);
    const bytes = encodeChainSegment(group);
    await files.putSegment(segmentKey(group, bytes), bytes);
  }
}

/** takeover 1, settings 2, add 3, snapshots 4 and 5 */
function shop() {
  const agent = newAgent('shop');
  agent.record({
    type: 'settings',
    settings: {
      agentName: 'shop',
      site: 'shop',
      configJson: '{}',
      roots: [{ name: 'test', path: Buffer.from('/srv'), shard: 1 }],
    },
  });
  const tree = (more: string) =>
    fixture.dir('', [
      fixture.file('a', 'content of a'),
      fixture.dir('sub', [fixture.file('b', more), fixture.file('c', random(50_000))]),
    ]);
  const [first, second] = [tree('first'), tree('second')];
  agent.add(1, formsOf(fixture));
  agent.record({ ...fixture.body(first), timeNs: 1_000n }, 1);
  agent.record({ ...fixture.body(second), timeNs: 2_000n }, 1);
  return agent;
}

function late(agent: MemoryChain, timeNs = 9_000n) {
  return agent.record({ ...fixture.body(fixture.dir('', [fixture.file('late', `late ${timeNs}`)])), timeNs }, 1);
}

async function keyOfPack(store: ObjectStore, name: string): Promise<string> {
  for await (const { key } of store.list(`${vault}/`)) if (key.includes(name)) return key;
  throw new Error(`no pack ${name}`);
}

/** The key of the segment with this entry. */
async function segmentOf(store: ObjectStore, seq: number): Promise<string> {
  for await (const { key } of store.list(`${vault}/`)) {
    const segment = parseBucketKey(key);
    if (segment?.kind === 'segment' && segment.first <= seq && seq <= segment.last) return key;
  }
  throw new Error(`no segment with ${seq}`);
}

function formsOf({ chunks, keys }: TreeFixture): Form[] {
  return [...chunks.values()].map(({ id, kind, sealed }) => ({
    id,
    sealedSha256: createHash('sha256').update(sealed).digest(),
    sealedBytes: sealed.length,
    keyId: keys.currentKeyId,
    formClass: packClassOf(kind),
  }));
}

let spools: EntrySpool[] = [];

async function newSpool(): Promise<EntrySpool> {
  const spool = await openEntrySpool(join(folder.path, `spool-${spools.length}`));
  spools.push(spool);
  return spool;
}

const plan = async (
  stores: readonly ObjectStore[],
  more: { agent?: string; branch?: string; isReadOnly?: boolean; vaultKey?: Uint8Array; adminSeed?: Uint8Array } = {},
) =>
  planRecover(
    {
      vaultKey,
      adminSeed,
      ...more,
      spool: await newSpool(),
      sources: await Promise.all(stores.map((store) => openBucketRecovery({ store, vault }, { warn }))),
    },
    { sodium, warn },
  );

const apply = async (
  recovered: RecoverPlan,
  life: NewLife = { as: 'takeover' },
  at = 'data',
  beforeCommit = async () => {},
) => {
  const dir = dataDirAt(join(folder.path, at));
  await beginRecover(dir);
  return await applyRecover(
    dir,
    {
      plan: recovered,
      life,
      site: 'shop',
      tls: { keyPem: 'key', certPem: 'cert', spkiSha256: random(32) },
      addresses: ['https://127.0.0.1:1'],
    },
    { sodium, random, beforeCommit },
  );
};

/** What chain files of an agent hold, or those of one branch. */
async function readBack(agent: string, at = 'data', branch?: string): Promise<ChainItem[]> {
  const dir = chainFolder(dataDirAt(join(folder.path, at)).chainsDir, agent, branch);
  const items: ChainItem[] = [];
  for (const file of chainFilesIn(readdirSync(dir))) {
    for await (const part of scanChainFile(chainFile(dir, file))) {
      if (part.kind !== 'entry') throw new Error(`${part.kind} in ${dir}`);
      items.push(part);
    }
  }
  return items;
}

const linksOf = (entries: readonly ChainItem[]) => entries.map(({ head }) => head.link);

const open = (at = 'data') =>
  openEngine({
    dataDir: dataDirAt(join(folder.path, at)),
    vaultKey,
    clock: realClock,
    random,
    workers: 1,
    level: 1,
    warn,
  });

it('a bucket that goes while it is read ends in an error, and never gives less than it has', async () => {
  const { agent } = { agent: shop() };
  const home = await newBucket([agent]);
  const ids = [...fixture.chunks.values()].map(({ id }) => id);
  const readAll = async (store: ObjectStore, onOpened = (): void => {}) => {
    const source = await openBucketRecovery({ store, vault }, { warn: () => {} });
    onOpened();
    const seqs: number[] = [];
    for await (const { head } of source.entries(agent.agentId)) seqs.push(head.header.seq);
    return {
      seqs,
      has: [...(await source.has(ids))],
      cards: (await source.cards()).length,
      slots: (await source.slots()).length,
    };
  };
  const all = await readAll(home);
  expect(all.seqs.length).toBeGreaterThan(3);
  let isOver = false;
  for (let k = 0; !isOver; k++) {
    const store = createSwappedObjectStore(home);
    let begun = 0;
    const read = await readAll(store, () => {
      begun = store.calls;
      store.swap(createMemoryObjectStore('memory://empty'), k);
    }).catch((error: unknown) => error as EdgeError);
    isOver = store.calls - begun <= k;
    if (isOver) expect(read).toEqual(all);
    else expect(read, `after ${k} calls`).toMatchObject({ code: 'E_NO_BUCKET' });
  }
});

describe('recover from a bucket', () => {
  it('says in the record checkpoint which snapshots are damaged', async () => {
    const agent = shop();
    const [bad, good] = agent.entries.slice(3).map(({ head }) => head.link) as [string, string];
    agent.record({ type: 'damaged', snapshots: [bad] });
    await apply(await plan([await newBucket([agent])]));
    const items = await readBack(agent.agentId);
    const entry = items.find(({ head }) => head.header.kind === EntryKind.recordCheckpoint);
    const part = openCheckpointPart(sodium, entry as WholeEntry, fixture.keys);
    expect(part.snapshots.map(({ id, damaged }) => [id, damaged])).toEqual([
      [bad, true],
      [good, false],
    ]);
  });

  it('gives head, settings, snapshots, and the chain with its takeover and a record checkpoint', async () => {
    const agent = shop();
    const recovered = await plan([await newBucket([agent])]);
    expect(recovered.head).toEqual(agent.position());
    expect(recovered.headTimeNs).toBe(2_000n);
    expect(recovered.vouchedBy).toEqual(['s3://bucket']);
    expect(recovered.settings?.roots[0]?.name).toBe('test');
    expect(recovered.snapshots.length).toBe(2);
    expect(recovered.gaps).toEqual([]);
    expect(recovered.slots.length).toBe(1);
    expect(recovered.branches).toMatchObject([{ isChosen: true, base: undefined, name: 'shop' }]);

    const identity = await apply(recovered);
    expect(identity).toMatchObject({ agentId: agent.agentId, name: 'shop', incarnation: 2 });
    const items = await readBack(agent.agentId);
    expect(linksOf(items.slice(0, 5))).toEqual(linksOf(agent.entries));
    const hexOf = ({ body }: ChainItem) => toHex(body ?? new Uint8Array(0));
    expect(items.slice(0, 5).map(hexOf)).toEqual(agent.entries.map(hexOf));
    const [takeover, checkpoint, more] = items.slice(5) as WholeEntry[];
    expect(more).toBeUndefined();
    expect(takeover!.head.header).toMatchObject({ kind: EntryKind.takeover, incarnation: 2, seq: 6 });
    const card = verifyCard(sodium, takeover!.body, publicKeyOf(sodium, adminSeed));
    expect(card).toMatchObject({ base: agent.position(), number: 2 });
    verifyHead(sodium, checkpoint!.head, card.signPublicKey);
    const part = openCheckpointPart(sodium, checkpoint!, fixture.keys);
    expect(part.snapshots.map(({ id, shard, damaged }) => [id, shard, damaged])).toEqual(
      agent.entries.slice(3).map(({ head }) => [head.link, 1, false]),
    );
    expect(part.settings?.roots[0]).toMatchObject({ name: 'test', shard: 1 });

    const engine = await open();
    expect(engine.index.log.snapshots().map(({ id, branch, damaged }) => [id, branch, damaged])).toEqual(
      agent.entries.slice(3).map(({ head }) => [head.link, false, false]),
    );
    expect(engine.chain.shardOf('test')).toBe(1);
    expect(engine.chains.shards(agent.agentId)).toMatchObject([{ shard: 1, held: fixture.chunks.size, applied: 7 }]);
    const next = await engine.chain.append({ type: 'pin', snapshot: recovered.snapshots[0]!.id, reason: 'test' });
    expect(next).toMatchObject({ incarnation: 2, seq: 8 });
    await engine.close();
  });

  it('finds the only vault when the sheet names none, and asks when there are several', async () => {
    const store = await newBucket([shop()]);
    expect((await openBucketRecovery({ store }, { warn })).label).toBe('s3://bucket');
    await store.put(`${'ff'.repeat(16)}/vault.edge`, new Uint8Array(10));
    await store.put(`${'ee'.repeat(16)}/slots/nothing`, new Uint8Array(10));
    await expect(openBucketRecovery({ store }, { warn })).rejects.toMatchObject({
      code: 'E_AMBIGUOUS',
      exitCode: 2,
      message: expect.stringContaining('2 vaults'),
    });
    await expect(openBucketRecovery({ store: createMemoryObjectStore() }, { warn })).rejects.toMatchObject({
      code: 'E_NO_VAULT',
      exitCode: 10,
    });
    const empty = await openBucketRecovery({ store: createMemoryObjectStore(), vault }, { warn });
    await expect(planRecover({ sources: [empty], vaultKey, adminSeed }, { sodium, warn })).rejects.toMatchObject({
      code: 'E_NO_VAULT',
    });
  });

  it('says what a bucket that was only a cold tier cannot give', async () => {
    const agent = shop();
    const onlyB = fixture.file('b', 'second').content;
    const cold = onlyB?.form === 'inline' ? toHex(onlyB.refs[0]?.id as Uint8Array) : '';
    const { gaps } = await plan([await newBucket([agent], (kind, id) => kind !== 1 || id === cold)]);
    const newest = gaps.find(({ snapshot }) => snapshot === agent.position()?.link);
    expect(newest).toMatchObject({ root: 'test', files: 2, filesTotal: 3, broken: 0, bytes: 50_012 });
    const nothing = await plan([await newBucket([agent], () => false)]);
    expect(nothing.gaps[0]).toMatchObject({ broken: 1 });
  });

  it('reads a tree from the other pack that has it, where one is damaged', async () => {
    const agent = shop();
    for (const bad of [0, 1]) {
      const store = await newBucket([agent]);
      const packs = openBucketPacks({
        store,
        vault,
        life: { agent: agent.agentId, incarnation: 2 },
        requireIdentity: async () => {},
      });
      const chunks = [...fixture.chunks.values()]
        .filter(({ kind }) => packClassOf(kind) === 'meta')
        .map(({ id, sealed }) => ({
          id,
          packClass: 'meta' as const,
          keyId: fixture.keys.currentKeyId,
          bytes: sealed,
          sha256: createHash('sha256').update(sealed).digest(),
          identified: true,
        }));
      const again = makePack(vault, chunks.reverse(), 'meta');
      await packs.put({ name: again.name, packClass: 'meta' }, again.body);
      const listed = [];
      for await (const pack of packs.list()) if (pack.packClass === 'meta') listed.push(pack);
      expect(listed.length).toBe(2);
      const { frames } = (await packs.readContents(listed[bad]!))!;
      const key = await keyOfPack(store, listed[bad]!.name);
      const bytes = Uint8Array.from((await store.get(key))!);
      for (const { offset } of frames) bytes[offset + 20]! ^= 1;
      await store.delete(key);
      await store.put(key, bytes);
      expect((await plan([store])).gaps).toEqual([]);
    }
  });

  it('refuses to take over an edge from a source that has nothing of its chain', async () => {
    const agent = shop();
    const store = await newBucket([agent]);
    for (const seq of [1, 4]) await store.delete(await segmentOf(store, seq));
    await expect(plan([store])).rejects.toMatchObject({
      code: 'E_NOT_FOUND',
      message: expect.stringContaining('no entry of the chain of shop is at s3://bucket'),
    });
    expect((await plan([store, await newBucket([agent], () => true, 's3://other')])).head).toEqual(agent.position());
  });

  it('refuses a sheet of another vault', async () => {
    const store = await newBucket([shop()]);
    await expect(plan([store], { adminSeed: random(32) })).rejects.toMatchObject({ code: 'E_WRONG_KEY', exitCode: 12 });
    await expect(plan([store], { vaultKey: random(32) })).rejects.toMatchObject({ exitCode: 7 });
  });

  it('asks which agent when there are several, by name or id', async () => {
    const [one, two, holder] = [shop(), newAgent('branch'), newAgent('dc', 'holder')];
    const store = await newBucket([one, two, holder]);
    await expect(plan([store])).rejects.toMatchObject({ code: 'E_AMBIGUOUS' });
    await expect(plan([store], { agent: 'nobody' })).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
    expect((await plan([store], { agent: 'branch' })).agent.agentId).toBe(two.agentId);
    expect((await plan([store], { agent: one.agentId.slice(0, 8) })).agent.name).toBe('shop');
    expect((await plan([store], { agent: 'dc' })).agent.role).toBe('holder');
    expect((await plan([await newBucket([one, holder])])).agent.name).toBe('shop');
  });
});

describe('several sources', () => {
  it('take the newest end, and say who has it and who is behind', async () => {
    const agent = shop();
    const before = await newBucket([agent], () => true, 's3://old');
    late(agent);
    const ahead = await newBucket([agent], () => true, 's3://new');
    const recovered = await plan([before, ahead]);
    expect(recovered.head).toEqual(agent.position());
    expect(recovered.vouchedBy).toEqual(['s3://new']);
    expect(warnings.join()).toMatch(/s3:\/\/old has this chain only up to 1\/5/);
  });

  it('take each entry from whoever has it whole', async () => {
    const agent = shop();
    const [one, other] = [await newBucket([agent]), await newBucket([agent], () => true, 's3://other')];
    await one.delete(await segmentOf(one, 1));
    await other.delete(await segmentOf(other, 4));
    const recovered = await plan([one, other]);
    expect(recovered.head).toEqual(agent.position());
    expect(recovered.trail.length).toBe(5);
  });

  it('go on without one that fails', async () => {
    const good = await newBucket([shop()]);
    const bad = {
      ...(await newBucket([], () => false)),
      label: 's3://down',
      get: async () => Promise.reject(new Error('no route')),
    };
    const recovered = await plan([bad, good]);
    expect(recovered.vouchedBy).toEqual(['s3://bucket']);
    expect(warnings.join()).toMatch(/s3:\/\/down could not be used/);
  });
});

describe('a fork', () => {
  /** Two machines that went on from one image, in one bucket. */
  async function forked() {
    const agent = shop();
    const twin = agent.image();
    late(agent, 9_000n);
    late(twin, 8_000n);
    late(twin, 8_500n);
    const store = await newBucket([agent]);
    await putEntries(store, twin.entries.slice(5));
    return { agent, twin, store };
  }

  it('lists both branches with their times, and goes on from none by itself', async () => {
    const { agent, twin, store } = await forked();
    const error = await plan([store]).catch((caught: unknown) => caught as EdgeError);
    expect(error).toMatchObject({ code: 'E_FORK', exitCode: 9 });
    expect((error as EdgeError).context.branches).toMatchObject([
      {
        branch: twin.position()?.link,
        base_seq: 5,
        snapshots: 2,
        name: 'shop',
        newest_snapshot: '1970-01-01T00:00:00.000Z',
      },
      { branch: agent.position()?.link, base_seq: 5, snapshots: 1, seen_at: ['s3://bucket'] },
    ]);
  });

  it('goes on from either, and keeps the other one beside it', async () => {
    const { agent, twin, store } = await forked();
    for (const [chosen, other] of [
      [agent, twin],
      [twin, agent],
    ] as const) {
      const recovered = await plan([store], { branch: chosen.position()!.link.slice(0, 8) });
      expect(recovered.head).toEqual(chosen.position());
      const all = [...agent.entries.slice(5), ...twin.entries.slice(5)];
      expect(
        recovered.snapshots
          .slice(2)
          .map(({ id }) => id)
          .sort(),
      ).toEqual(linksOf(all).sort());
      const tip = other.position()!.link;
      expect(recovered.snapshots.filter(({ branch }) => branch === tip).length).toBe(other.entries.length - 5);
      expect(recovered.gaps).toEqual([]);
      const at = chosen === agent ? 'one' : 'two';
      await apply(recovered, undefined, at);
      expect(linksOf(await readBack(agent.agentId, at)).slice(0, -2)).toEqual(linksOf(chosen.entries));
      expect(linksOf(await readBack(agent.agentId, at, tip))).toEqual(linksOf(other.entries.slice(5)));
      const engine = await open(at);
      const rows = new Map(engine.index.log.snapshots().map(({ id, branch }) => [id, branch]));
      expect(rows.size).toBe(5);
      for (const id of linksOf(other.entries.slice(5))) expect(rows.get(id)).toBe(true);
      for (const id of linksOf(chosen.entries.slice(5))) expect(rows.get(id)).toBe(false);
      expect(engine.chains.branches(agent.agentId)).toMatchObject([{ tip: other.position(), base: { seq: 5 } }]);
      await engine.close();
    }
    await expect(plan([store], { branch: 'zz' })).rejects.toMatchObject({ code: 'E_NOT_FOUND', exitCode: 2 });
  });

  it('needs no choice to be read', async () => {
    const { store } = await forked();
    const recovered = await plan([store], { isReadOnly: true });
    expect(recovered.snapshots.length).toBe(5);
  });

  it('that a takeover settled asks nothing: the other end is a branch', async () => {
    const agent = shop();
    const next = agent.image();
    late(agent);
    next.incarnation = 2;
    next.signSeed = random(32);
    next.takeover();
    late(next, 10_000n);
    const store = await newBucket([agent]);
    await openBucketVault(store, vault).putCard(next.cards[1]!, next.cards[1]!.bytes);
    await putEntries(store, next.entries.slice(5));
    const recovered = await plan([store]);
    expect(recovered.head).toEqual(next.position());
    expect(recovered.nextIncarnation).toBe(3);
    expect(recovered.snapshots.map(({ branch }) => branch)).toEqual([
      undefined,
      undefined,
      agent.position()?.link,
      undefined,
    ]);
  });

  it('of two takeovers of one incarnation is one too, each by its own key', async () => {
    const agent = shop();
    const twins = [agent.image(), agent.image()];
    const store = await newBucket([agent]);
    for (const [i, twin] of twins.entries()) {
      twin.incarnation = 2;
      twin.signSeed = random(32);
      twin.takeover();
      late(twin, BigInt(i) + 10_000n);
      await putEntries(store, twin.entries.slice(5));
    }
    await expect(plan([store])).rejects.toMatchObject({ code: 'E_FORK' });
    const recovered = await plan([store], { branch: twins[1]!.position()!.link });
    expect(recovered.head).toEqual(twins[1]!.position());
    expect(recovered.nextIncarnation).toBe(3);
  });
});

describe('what is not signed', () => {
  it('is not believed: entries of another key, cards of another admin', async () => {
    const agent = shop();
    const honest = agent.position();
    agent.signSeed = random(32);
    agent.record({ type: 'forget', snapshot: honest?.link ?? '' });
    const store = await newBucket([agent]);
    const forged = encodeCard(
      sodium,
      { ...verifyCard(sodium, agent.cards[0]!.bytes, publicKeyOf(sodium, adminSeed)), number: 99, name: 'evil' },
      random(32),
    );
    await openBucketVault(store, vault).putCard({ agent: agent.agentId, incarnation: 7 }, forged);
    const recovered = await plan([store]);
    expect(recovered.head).toEqual(honest);
    expect(recovered.agent.name).toBe('shop');
    expect(recovered.nextIncarnation).toBe(2);
    expect(warnings.length).toBeGreaterThanOrEqual(2);
  });

  it('nor a second log key of one incarnation: the first source counts, and the other card is named', async () => {
    const agent = shop();
    const first = await newBucket([agent]);
    const second = await newBucket([agent]);
    const card = verifyCard(sodium, agent.cards[0]!.bytes, publicKeyOf(sodium, adminSeed));
    const twin = encodeCard(sodium, { ...card, number: 99, signPublicKey: random(32) }, adminSeed);
    await openBucketVault(second, vault).putCard({ agent: agent.agentId, incarnation: 1 }, twin);
    const recovered = await plan([first, second]);
    expect(recovered.agent.signPublicKey).toEqual(card.signPublicKey);
    expect(recovered.head).toEqual(agent.position());
    expect(warnings.join()).toContain('have a different log key');
  });

  it('nor slots that the admin key did not sign, nor slots whose removal lies at any source', async () => {
    const agent = shop();
    const [one, two] = [await newBucket([agent]), await newBucket([agent])];
    const slotOf = (seed: Uint8Array) =>
      createSlot(
        sodium,
        { type: 'keyfile', secret: random(32) },
        { vaultId: vault, label: '', scope: 'shared', vaultKey, adminSeed: seed },
        random,
      );
    const [good, removed] = [await slotOf(adminSeed), await slotOf(adminSeed)];
    const forged = await Promise.all(Array.from({ length: 300 }, () => slotOf(new Uint8Array(32))));
    const files = openBucketVault(one, vault);
    for (const { slotId, bytes } of [good, removed, ...forged]) await files.putSlot(slotId, bytes);
    const removal = { vaultId: vault, slotId: removed.slotId, timeS: 1 };
    await openBucketVault(two, vault).putSlotRemoval(removed.slotId, encodeSlotRemoval(sodium, removal, adminSeed));
    const hidden = { ...removal, slotId: good.slotId };
    await files.putSlotRemoval(good.slotId, encodeSlotRemoval(sodium, hidden, new Uint8Array(32)));
    await files.putSlot(good.slotId, good.bytes);
    const recovered = await plan([one, two]);
    const ids = recovered.slots.map(({ slotId }) => slotId);
    expect(ids).toContain(good.slotId);
    expect(ids).not.toContain(removed.slotId);
    expect(ids.length).toBe(3);
    expect(recovered.slotRemovals.map(({ slotId }) => slotId)).toEqual([removed.slotId]);
    expect(warnings.length).toBeLessThan(40);
  });

  it('the highest epoch of the descriptor counts, and a source that is behind is used all the same', async () => {
    const agent = shop();
    const [old, newer] = [await newBucket([agent]), await newBucket([agent])];
    const bytes = await openBucketVault(old, vault).descriptor();
    const first = { ...openVaultDescriptor(sodium, bytes!, vaultKey), bytes: bytes! };
    const second = fixtureDescriptor(sodium, { vaultId: vault, vaultKey, adminSeed }, first);
    await openBucketVault(newer, vault).putDescriptor(second.bytes);
    for (const order of [
      [old, newer],
      [newer, old],
    ]) {
      const recovered = await plan(order);
      expect(recovered.descriptor.epoch).toBe(2);
      expect(recovered.keys.currentKeyId).toBe(2);
      expect(recovered.head).toEqual(agent.position());
      expect(recovered.gaps).toEqual([]);
    }
  });

  it('damage in a segment is told, and what is whole is used', async () => {
    const agent = shop();
    const store = await newBucket([agent]);
    const key = await segmentOf(store, 4);
    const bytes = (await store.get(key)) as Uint8Array;
    bytes[bytes.length - 10] = (bytes.at(-10) ?? 0) ^ 1;
    await store.put(key, bytes);
    const recovered = await plan([store]);
    expect(recovered.head).toMatchObject({ seq: 4 });
    expect(warnings.length).toBeGreaterThan(0);
  });
});

describe('a chain that lost entries', () => {
  it('in its middle goes on from before the gap, lists what lies behind, and lets none of that count', async () => {
    const agent = shop();
    late(agent);
    const store = await newBucket([agent]);
    const whole = await segmentOf(store, 4);
    await store.delete(whole);
    await putEntries(store, agent.entries.slice(5));
    const recovered = await plan([store]);
    expect(recovered.head).toMatchObject({ seq: 3 });
    expect(recovered.snapshots).toMatchObject([{ id: agent.position()?.link, damaged: true }]);
    expect(recovered.gaps).toEqual([]);
    expect(warnings.join()).toMatch(/1 entries behind them cannot be joined/);
    await apply(recovered);
    const part = openCheckpointPart(sodium, (await readBack(agent.agentId)).at(-1) as WholeEntry, fixture.keys);
    expect(part.snapshots).toMatchObject([{ id: agent.position()?.link, damaged: true, shard: 1 }]);
    const engine = await open();
    expect(engine.index.log.snapshots()).toMatchObject([{ id: agent.position()?.link, damaged: true, branch: false }]);
    await engine.close();
  });

  it('at its beginning begins anew, and its roots get new shards', async () => {
    const agent = shop();
    const store = await newBucket([agent]);
    await store.delete(await segmentOf(store, 1));
    await putEntries(store, agent.entries.slice(1, 2));
    const recovered = await plan([store]);
    expect(recovered.head).toBeUndefined();
    expect(recovered.snapshots.length).toBe(2);
    await apply(recovered);
    const items = (await readBack(agent.agentId)) as WholeEntry[];
    expect(items.map(({ head }) => [head.header.seq, head.header.kind])).toEqual([
      [1, EntryKind.takeover],
      [2, EntryKind.recordCheckpoint],
      [3, EntryKind.record],
    ]);
    const settings = openRecordEntry(sodium, items[2]!, fixture.keys);
    expect(settings).toMatchObject({ settings: { roots: [{ name: 'test', shard: 2 }] } });
  });
});

describe('writing the data dir', () => {
  it('survives a kill at every step: what is there is no data dir, or a whole one', async () => {
    const store = await newBucket([shop()]);
    const points = new Set<string>();
    const disarm = armFailpoints((name) => points.add(name));
    await apply(await plan([store]), undefined, 'probe');
    disarm();
    const steps = [...points].filter((name) => name.startsWith('recover.'));
    expect(steps.length).toBeGreaterThan(4);
    for (const point of steps) {
      const stop = armFailpoints((name) => {
        if (name === point) throw new Error('killed');
      });
      await expect(apply(await plan([store]), undefined, point), point).rejects.toThrow('killed');
      stop();
      if (point === 'recover.committed') expect(existsSync(join(folder.path, point, 'vault.edge'))).toBe(true);
      else await apply(await plan([store]), undefined, point);
      expect((await readBack((await plan([store])).agent.agentId, point)).length).toBe(7);
    }
  });

  it('begins again after the configuration could not be written', async () => {
    const store = await newBucket([shop()]);
    const failing = async () => Promise.reject(new Error('no space'));
    await expect(apply(await plan([store]), undefined, 'data', failing)).rejects.toThrow('no space');
    expect(existsSync(join(folder.path, 'data', 'vault.edge'))).toBe(false);
    await apply(await plan([store]));
    const left = readdirSync(join(folder.path, 'data'));
    expect(left).toContain('vault.edge');
    expect(left.filter((name) => name.startsWith('recover.'))).toEqual([]);
  });

  it('refuses a folder that holds anything', async () => {
    const recovered = await plan([await newBucket([shop()])]);
    mkdirSync(join(folder.path, 'data'));
    writeFileSync(join(folder.path, 'data', 'mine'), 'x');
    await expect(apply(recovered)).rejects.toMatchObject({ code: 'E_USAGE' });
    await apply(recovered, undefined, 'other');
    await expect(apply(recovered, undefined, 'other')).rejects.toMatchObject({ code: 'E_USAGE' });
  });

  it('can be for reading only, as another agent', async () => {
    const agent = shop();
    const recovered = await plan([await newBucket([agent])]);
    const identity = await apply(recovered, { as: 'reader', agentId: 'ee'.repeat(16), name: 'reader' });
    expect(identity).toMatchObject({ agentId: 'ee'.repeat(16), incarnation: 1 });
    expect(linksOf(await readBack(agent.agentId))).toEqual(linksOf(agent.entries));
    expect((await readBack('ee'.repeat(16))).map(({ head }) => head.header.kind)).toEqual([EntryKind.takeover]);
  });
});
