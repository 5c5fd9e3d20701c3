import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadSodium } from '../codec/sodium.ts';
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
import { nextEnvelope } from '../log/next-envelope.ts';
import { encodeRecord } from '../log/record.ts';
import type { Head, RecordBody } from '../log/record-body.ts';
import { encodeSegment } from '../log/segment.ts';
import { segmentKeyOf } from '../store/bucket/bucket-layout.ts';
import { openBucketPacks } from '../store/bucket/bucket-packs.ts';
import { openBucketVault } from '../store/bucket/bucket-vault.ts';
import { dataDirAt } from '../store/data-dir.ts';
import { createMemoryObjectStore } from '../store/objects/memory.ts';
import { fixtureDescriptor } from '../testing/descriptor-fixture.ts';
import { makePack } from '../testing/make-pack.ts';
import { realClock } from '../testing/real-clock.ts';
import { createSeededRandom } from '../testing/seeded-random.ts';
import { temporaryFolder } from '../testing/store-fixture.ts';
import { createTreeFixture, type TreeFixture } from '../testing/tree-fixture.ts';
import { applyRecover } from './apply-recover.ts';
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
afterEach(() => folder.remove());

const warn = ({ message }: { message: string }) => void warnings.push(message);

/** An agent that writes its log in memory. */
function newAgent(name: string, role: Card['role'] = 'edge') {
  const agentId = toHex(random(16));
  const records: Uint8Array[] = [];
  let head: Head | undefined;
  let signSeed = random(32);
  let incarnation = 1;
  const card = () =>
    encodeCard(
      sodium,
      {
        vaultId: vault,
        agentId,
        incarnation,
        name,
        site: 'shop',
        role,
        signPublicKey: publicKeyOf(sodium, signSeed),
        tlsSpkiSha256: random(32),
        addresses: [],
        base: undefined,
        number: 1,
      },
      adminSeed,
    );
  const ownCard = card();
  const agent = {
    agentId,
    card: ownCard,
    records,
    get head() {
      return head;
    },
    /** As someone else who copied the data dir would go on. */
    clone(from: Head | undefined, seed = signSeed) {
      head = from;
      signSeed = seed;
    },
    get signSeed() {
      return signSeed;
    },
    write(body: RecordBody): Head {
      const envelope = nextEnvelope(head, { vault, agent: agentId, incarnation, keyId: fixture.keys.currentKeyId });
      const { bytes, hash } = encodeRecord(sodium, {
        envelope,
        body,
        keys: fixture.keys,
        signSeed,
        random24: random(24),
      });
      records.push(bytes);
      head = { incarnation, seq: envelope.seq, hash };
      return head;
    },
    live(next: number) {
      incarnation = next;
    },
  };
  agent.write({ type: 'takeover', card: ownCard, base: undefined });
  return agent;
}

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
    await files.putCard({ agent: agent.agentId, incarnation: 1 }, agent.card);
    const last = agent.records.length;
    const half = Math.ceil(last / 2);
    const segment = (firstSeq: number, lastSeq: number) => ({
      agent: agent.agentId,
      incarnation: 1,
      firstSeq,
      lastSeq,
    });
    await files.putSegment(segment(1, half), encodeSegment(agent.records.slice(0, half)));
    if (half < last) await files.putSegment(segment(half + 1, last), encodeSegment(agent.records.slice(half)));
  }
  const owner = { agent: agents[0]?.agentId ?? '', incarnation: 1 };
  const packs = openBucketPacks({ store, vault, life: owner });
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
    await packs.put(pack.name, pack.body);
  }
  return store;
}

function shop() {
  const agent = newAgent('shop');
  agent.write({
    type: 'settings',
    settings: {
      agentName: 'shop',
      site: 'shop',
      configJson: '{}',
      roots: [{ name: 'files', path: Buffer.from('/srv') }],
    },
  });
  const tree = (more: string) =>
    fixture.dir('', [
      fixture.file('a', 'content of a'),
      fixture.dir('sub', [fixture.file('b', more), fixture.file('c', random(50_000))]),
    ]);
  agent.write({ ...fixture.body(tree('first')), timeNs: 1_000n });
  agent.write({ ...fixture.body(tree('second')), timeNs: 2_000n });
  return agent;
}

const plan = async (
  stores: readonly ObjectStore[],
  more: { agent?: string; vaultKey?: Uint8Array; adminSeed?: Uint8Array } = {},
) =>
  planRecover(
    {
      vaultKey,
      adminSeed,
      ...more,
      sources: await Promise.all(stores.map((store) => openBucketRecovery({ store, vault }, { warn }))),
    },
    { sodium, warn },
  );

const apply = (
  recovered: RecoverPlan,
  life: NewLife = { as: 'takeover' },
  at = 'data',
  beforeCommit = async () => {},
) =>
  applyRecover(
    dataDirAt(join(folder.path, at)),
    {
      plan: recovered,
      life,
      site: 'shop',
      tls: { keyPem: 'key', certPem: 'cert', spkiSha256: random(32) },
      addresses: ['https://127.0.0.1:1'],
    },
    { sodium, random, beforeCommit },
  );

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

describe('recover from a bucket', () => {
  it('gives head, settings, snapshots, and a data dir that opens and goes on', async () => {
    const agent = shop();
    const recovered = await plan([await newBucket([agent])]);
    expect(recovered.head).toEqual(agent.head);
    expect(recovered.headTimeNs).toBe(2_000n);
    expect(recovered.vouchedBy).toEqual(['s3://bucket']);
    expect(recovered.settings?.roots[0]?.name).toBe('files');
    expect(recovered.snapshots.length).toBe(2);
    expect(recovered.gaps).toEqual([]);
    expect(recovered.slots.length).toBe(1);

    const identity = await apply(recovered);
    expect(identity).toMatchObject({ agentId: agent.agentId, name: 'shop', incarnation: 2 });
    const engine = await open();
    expect(engine.index.log.snapshots().length).toBe(2);
    expect(engine.index.log.snapshots().every((row) => !row.branch)).toBe(true);
    expect(engine.log.head()).toMatchObject({ incarnation: 2, seq: 5 });
    const next = await engine.log.append({ type: 'pin', snapshot: recovered.snapshots[0]?.id ?? '', reason: 'test' });
    expect(next).toMatchObject({ incarnation: 2, seq: 6 });
    await engine.close();
    const card = verifyCard(
      sodium,
      Uint8Array.from(
        (await import('node:fs')).readFileSync(dataDirAt(join(folder.path, 'data')).cardFile(agent.agentId, 2)),
      ),
      publicKeyOf(sodium, adminSeed),
    );
    expect(card.base).toEqual({ incarnation: 1, seq: agent.head?.seq, link: agent.head?.hash });
    expect(card.number).toBe(2);
  });

  it('finds the only vault when the sheet names none, and asks when there are several', async () => {
    const store = await newBucket([shop()]);
    expect((await openBucketRecovery({ store }, { warn })).label).toBe('s3://bucket');
    await store.put(`${'ff'.repeat(16)}/vault.edge`, new Uint8Array(10));
    await expect(openBucketRecovery({ store }, { warn })).rejects.toMatchObject({ code: 'E_AMBIGUOUS', exitCode: 2 });
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
    const newest = gaps.find(({ snapshot }) => snapshot === agent.head?.hash);
    expect(newest).toMatchObject({ root: 'test', files: 2, filesTotal: 3, broken: 0, bytes: 50_012 });
    const nothing = await plan([await newBucket([agent], () => false)]);
    expect(nothing.gaps[0]).toMatchObject({ broken: 1 });
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
  it('take the newest head, and say who has it and who is behind', async () => {
    const agent = shop();
    const behind = await newBucket([agent], () => true, 's3://old');
    agent.write({ ...fixture.body(fixture.dir('', [fixture.file('late', 'late')])), timeNs: 9_000n });
    const ahead = await newBucket([agent], () => true, 's3://new');
    const recovered = await plan([behind, ahead]);
    expect(recovered.head).toEqual(agent.head);
    expect(recovered.vouchedBy).toEqual(['s3://new']);
    expect(warnings.join()).toMatch(/s3:\/\/old has this log only up to 1\/4/);
  });

  it('find a fork', async () => {
    const agent = shop();
    const base = agent.head;
    agent.write({ type: 'unpin', snapshot: 'aa'.repeat(32) });
    const one = await newBucket([agent]);
    agent.records.pop();
    agent.clone(base);
    agent.write({ type: 'unpin', snapshot: 'bb'.repeat(32) });
    const other = await newBucket([agent], () => true, 's3://other');
    await expect(plan([one, other])).rejects.toMatchObject({ code: 'E_FORK', exitCode: 9 });
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

describe('what is not signed', () => {
  it('is not believed: records of another key, cards of another admin', async () => {
    const agent = shop();
    const honest = agent.head;
    agent.clone(honest, random(32));
    agent.write({ type: 'forget', snapshot: honest?.hash ?? '' });
    const store = await newBucket([agent]);
    const forged = encodeCard(
      sodium,
      { ...verifyCard(sodium, agent.card, publicKeyOf(sodium, adminSeed)), number: 99, name: 'evil' },
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
    const card = verifyCard(sodium, agent.card, publicKeyOf(sodium, adminSeed));
    const twin = encodeCard(sodium, { ...card, number: 99, signPublicKey: random(32) }, adminSeed);
    await openBucketVault(second, vault).putCard({ agent: agent.agentId, incarnation: 1 }, twin);
    const recovered = await plan([first, second]);
    expect(recovered.agent.signPublicKey).toEqual(card.signPublicKey);
    expect(recovered.head).toEqual(agent.head);
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
      expect(recovered.head).toEqual(agent.head);
      expect(recovered.gaps).toEqual([]);
    }
  });

  it('damage in a segment is told, and what is whole is used', async () => {
    const agent = shop();
    const store = await newBucket([agent]);
    const key = segmentKeyOf(vault, { agent: agent.agentId, incarnation: 1, firstSeq: 3, lastSeq: 4 });
    const bytes = (await store.get(key)) as Uint8Array;
    bytes[bytes.length - 10] = (bytes.at(-10) ?? 0) ^ 1;
    await store.put(key, bytes);
    const recovered = await plan([store]);
    expect(recovered.head).toMatchObject({ seq: 3 });
    expect(warnings.length).toBeGreaterThan(0);
  });
});

describe('a log that lost records in its middle', () => {
  it('is recovered from behind the gap, and that is said', async () => {
    const agent = shop();
    agent.write({ ...fixture.body(fixture.dir('', [fixture.file('late', 'late')])), timeNs: 9_000n });
    const store = await newBucket([agent]);
    const files = openBucketVault(store, vault);
    const segment = (firstSeq: number, lastSeq: number) => ({
      agent: agent.agentId,
      incarnation: 1,
      firstSeq,
      lastSeq,
    });
    await store.delete(segmentKeyOf(vault, segment(1, 3)));
    await files.putSegment(segment(1, 2), encodeSegment(agent.records.slice(0, 2)));
    const recovered = await plan([store]);
    expect(recovered.head).toEqual(agent.head);
    expect(recovered.records.length).toBe(2);
    expect(recovered.snapshots.length).toBe(2);
    expect(warnings.join()).toMatch(/2 older records/);
    await apply(recovered);
    await (await open()).close();
  });
});

describe('writing the data dir', () => {
  it('survives a kill at every step: what is there is no data dir, or a whole one', async () => {
    const recovered = await plan([await newBucket([shop()])]);
    const points = new Set<string>();
    const disarm = armFailpoints((name) => points.add(name));
    await apply(recovered, undefined, 'probe');
    disarm();
    for (const point of [...points].filter((name) => name.startsWith('recover.'))) {
      const stop = armFailpoints((name) => {
        if (name === point) throw new Error('killed');
      });
      await expect(apply(recovered, undefined, point), point).rejects.toThrow('killed');
      stop();
      if (point === 'recover.committed') expect(existsSync(join(folder.path, point, 'vault.edge'))).toBe(true);
      else await apply(recovered, undefined, point);
      const engine = await open(point);
      expect(engine.index.log.snapshots().length).toBe(2);
      await engine.close();
    }
  });

  it('begins again after the configuration could not be written', async () => {
    const recovered = await plan([await newBucket([shop()])]);
    const failing = async () => Promise.reject(new Error('no space'));
    await expect(apply(recovered, undefined, 'data', failing)).rejects.toThrow('no space');
    expect(existsSync(join(folder.path, 'data', 'vault.edge'))).toBe(false);
    await apply(recovered);
    await (await open()).close();
    expect(readdirSync(join(folder.path, 'data'))).not.toContain('recover.unfinished');
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
    const engine = await open();
    expect(engine.logs.head(agent.agentId)).toEqual(agent.head);
    expect(engine.index.log.snapshots({ agent: agent.agentId }).length).toBe(2);
    await engine.close();
  });
});
