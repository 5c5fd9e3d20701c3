import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createOpener } from '../codec/open.ts';
import { loadSodium } from '../codec/sodium.ts';
import { EdgeError, isEdgeError } from '../core/errors.ts';
import { type ChunkId, ChunkKind, toHex } from '../core/ids.ts';
import type { Member, PeerDirectory, PeerLink } from '../core/ports/peer.ts';
import { publicKeyOf } from '../keys/ed25519.ts';
import { decodeEnvelope, openRecord } from '../log/record.ts';
import { decodeSegment } from '../log/segment.ts';
import { openBucketPacks } from '../store/bucket/bucket-packs.ts';
import { openBucketVault } from '../store/bucket/bucket-vault.ts';
import { createHolder } from '../store/holder.ts';
import { identifyWith } from '../store/identify-frames.ts';
import { createMemoryObjectStore } from '../store/objects/memory.ts';
import { type CaptureFixture, captureFixturePool, openCaptureFixture } from '../testing/capture-fixture.ts';
import { createFaultyObjectStore } from '../testing/faulty-object-store.ts';
import { fixtureKeys } from '../testing/owner-fixture.ts';
import { realClock } from '../testing/real-clock.ts';
import { createSeededRandom } from '../testing/seeded-random.ts';
import { FIXTURE_VAULT, type OpenedStore, openStore, temporaryFolder } from '../testing/store-fixture.ts';
import { decodeList } from '../tree/content-list.ts';
import { decodePage } from '../tree/decode-page.ts';
import { createReplicator, type Replicator, type ReplicatorDeps } from './replicator.ts';
import type { Target } from './targets.ts';

const sodium = await loadSodium();
const keys = fixtureKeys();
const opener = createOpener(sodium, keys);
const random = createSeededRandom('replicate');
const pool = captureFixturePool(1);
const HOLDER = 'ee'.repeat(16);
const holderSeed = new Uint8Array(32).fill(7);

let folder: ReturnType<typeof temporaryFolder>;
let owner: CaptureFixture;
let holder: OpenedStore;

afterAll(() => pool.close());
beforeEach(async () => {
  folder = temporaryFolder();
  mkdirSync(join(folder.path, 'files/deep/deeper'), { recursive: true });
  for (let i = 0; i < 40; i++) writeFileSync(join(folder.path, `files/deep/${i}`), `content ${i} `.repeat(200 + i));
  writeFileSync(join(folder.path, 'files/deep/deeper/large'), createSeededRandom('large')(400_000));
  owner = await openCaptureFixture(join(folder.path, 'owner'), { pool });
  holder = await openHolderStore();
});
afterEach(async () => {
  await owner.close();
  holder.close();
  folder.remove();
});

function openHolderStore(): Promise<OpenedStore> {
  return openStore(join(folder.path, 'holder'), { openRecord: (record) => openRecord(sodium, record, keys) });
}

const identity = () => owner.deps.identity as unknown as { agentId: string; incarnation: number; signSeed: Uint8Array };
const sync = (): Promise<unknown> =>
  owner.capture({ root: { name: 'files', path: Buffer.from(join(folder.path, 'files')) } });

const member: Member = {
  agent: HOLDER,
  incarnation: 1,
  name: 'dc-a',
  site: 'a',
  role: 'holder',
  addresses: ['https://a'],
  weight: 1,
  signPublicKey: publicKeyOf(sodium, holderSeed),
  tlsSpkiSha256: '00'.repeat(32),
};

type Step = 'state' | 'hold' | 'frames' | 'records';

/** A link straight into a holder's store; `before` may throw to break it off, `after` to lose an answer. */
function linkTo(
  before: (step: Step) => void = () => {},
  after: (step: Step) => void = () => {},
): PeerLink & { readonly sent: number } {
  const { agentId, incarnation, signSeed } = identity();
  const held = createHolder({
    sodium,
    vault: FIXTURE_VAULT,
    self: HOLDER,
    signSeed: holderSeed,
    clock: realClock,
    dataDir: holder.dataDir,
    index: holder.index,
    chunks: holder.chunks,
    log: holder.logs,
    identify: identifyWith(opener),
    hashPlaintexts: undefined,
    openRecord: (record) => openRecord(sodium, record, keys),
    signKeyOf: () => undefined,
    floorBytes: 0,
  });
  const as = { agent: agentId, incarnation, signPublicKey: publicKeyOf(sodium, signSeed) };
  let sent = 0;
  async function around<T>(step: Step, run: () => Promise<T>): Promise<T> {
    before(step);
    const answer = await run();
    after(step);
    return answer;
  }
  return {
    agent: HOLDER,
    name: 'dc-a',
    site: 'a',
    label: 'dc-a',
    source: holder.chunks,
    get sent() {
      return sent;
    },
    hold: (batch) => around('hold', () => held.hold(as, batch)),
    sendFrames: (op, frames) =>
      around('frames', () =>
        held.receive(
          as,
          op,
          (async function* () {
            for await (const frame of frames) {
              sent += frame.sealed.length;
              yield frame;
            }
          })(),
        ),
      ),
    state: () =>
      around('state', async () => ({
        heads: holder.logs.agents().map((agent) => ({ agent, head: holder.logs.head(agent)! })),
        lastOp: holder.index.holds.lastOp(agentId),
        slots: [],
      })),
    records: (agent, at) => holder.logs.read(agent, { after: at }),
    sendRecords: (records) => around('records', () => held.addRecords(as, records)),
    sendSlots: async () => {},
    verify: (nonce, ids, of) => held.verify(nonce, ids, of),
  };
}

function replicatorWith(link: PeerLink | undefined, over: Partial<ReplicatorDeps> = {}): Replicator {
  const peers: PeerDirectory = { members: () => (link === undefined ? [] : [member]), link: () => link };
  return createReplicator({
    clock: realClock,
    random,
    sodium,
    opener,
    vault: FIXTURE_VAULT,
    self: identity(),
    index: owner.store.index,
    log: owner.store.logs,
    sources: [owner.store.chunks],
    files: { descriptor: async () => Buffer.from('descriptor'), slots: async () => [], cards: async () => [] },
    peers,
    policy: () => ({ copies: link === undefined ? 0 : 1, sites: 1, store: undefined }),
    coldStores: () => [],
    bucket: async () => {
      throw new Error('no bucket');
    },
    ...over,
  });
}

/** Everything that a snapshot reaches, by what `read` can give; throws at the first chunk that is missing (P2). */
async function reach(
  pages: readonly ChunkId[],
  read: (kind: ChunkKind, id: ChunkId) => Promise<Uint8Array>,
): Promise<number> {
  let chunks = 0;
  for (const page of pages) {
    chunks++;
    for (const entry of decodePage(await read(ChunkKind.tree, page))) {
      if (entry.type === 'dir') chunks += await reach(entry.pages ?? [], read);
      const refs =
        entry.content?.form === 'lists'
          ? (
              await Promise.all(
                entry.content.lists.map(async (list) => decodeList(await read(ChunkKind.list, list.id))),
              )
            ).flat()
          : (entry.content?.refs ?? []);
      for (const ref of refs) {
        await read(ChunkKind.data, ref.id);
        chunks++;
      }
    }
  }
  return chunks;
}

async function readAtHolder(kind: ChunkKind, id: ChunkId): Promise<Uint8Array> {
  const [address] = await holder.chunks.locate([id]);
  if (address === undefined) throw new Error(`the holder lacks ${toHex(id)}`);
  for await (const answer of holder.chunks.fetch([address])) {
    if ('sealed' in answer) return opener.open(kind, id, answer.address.keyId, answer.sealed);
  }
  throw new Error('unreadable');
}

/** P2 at the holder: each snapshot that it has a record of is whole there. Returns how many. */
async function checkHolder(): Promise<number> {
  const snapshots = holder.index.log.snapshots();
  for (const snapshot of snapshots) await reach(snapshot.body.entry.pages ?? [], readAtHolder);
  return snapshots.length;
}

const target = (replicator: Replicator): Target => replicator.targets()[0]!;

describe('replicating to a holder', () => {
  test('everything is there, the records last, and a second pass sends nothing', async () => {
    await sync();
    const order: Step[] = [];
    const link = linkTo((step) => order.push(step));
    const replicator = replicatorWith(link);
    const report = await replicator.run(target(replicator));
    expect(report.head).toEqual(owner.store.logs.head(identity().agentId));
    expect(await checkHolder()).toBe(1);
    expect(order.indexOf('records')).toBeGreaterThan(order.lastIndexOf('frames'));
    const { sent } = link;
    const again = await replicator.run(target(replicator));
    expect(again).toMatchObject({ chunks: 0, records: 0, sentBytes: 0 });
    expect(link.sent).toBe(sent);
  });

  test('a small change sends little', async () => {
    await sync();
    const link = linkTo();
    const replicator = replicatorWith(link);
    await replicator.run(target(replicator));
    const before = link.sent;
    writeFileSync(join(folder.path, 'files/deep/7'), 'changed');
    await sync();
    const report = await replicator.run(target(replicator));
    expect(report.chunks).toBeLessThan(8);
    expect(link.sent - before).toBeLessThan(before / 10);
    expect(await checkHolder()).toBe(2);
  });

  test('broken off at any call, before it or after it, a later pass completes, and no record ever comes before its chunks', async () => {
    await sync();
    for (let nth = 1; nth <= 8; nth++) {
      for (const when of ['before', 'after'] as const) {
        let calls = 0;
        const strike = (): void => {
          if (++calls === nth) throw new EdgeError('E_STORE', 'broken off', { retryable: true });
        };
        const replicator =
          when === 'before' ? replicatorWith(linkTo(strike)) : replicatorWith(linkTo(undefined, strike));
        await replicator.run(target(replicator)).catch((error: unknown) => {
          if (!isEdgeError(error, 'E_STORE')) throw error;
        });
        await checkHolder();
        if (nth % 3 === 0)
          writeFileSync(join(folder.path, `files/more-${nth}-${when}`), `more ${nth} ${when}`.repeat(1000));
        await sync();
      }
    }
    const replicator = replicatorWith(linkTo());
    await replicator.run(target(replicator));
    expect(await checkHolder()).toBe(owner.store.index.log.snapshots().length);
    expect(holder.logs.head(identity().agentId)).toEqual(owner.store.logs.head(identity().agentId));
  });

  test('an index that lost its placements learns them again without sending a byte', async () => {
    await sync();
    const link = linkTo();
    const first = replicatorWith(link);
    await first.run(target(first));
    const { sent } = link;
    const forgotten = {
      ...owner.store.index,
      placements: {
        ...owner.store.index.placements,
        placed: (_: string, ids: readonly ChunkId[]) => new Uint8Array(ids.length),
      },
    };
    const second = replicatorWith(link, { index: forgotten });
    writeFileSync(join(folder.path, 'files/one-more'), 'x');
    await sync();
    const before = link.sent;
    await second.run(target(second));
    expect(link.sent - before).toBeLessThan(sent / 4);
    expect(await checkHolder()).toBe(2);
  });

  test.each([
    [
      'of another batch',
      (link: PeerLink) => ({
        ...link,
        sendFrames: async (op: number, frames: never) => link.sendFrames(op, frames).then(() => new Uint8Array(200)),
      }),
    ],
    ['that a key other than the holder’s signed', (link: PeerLink) => link],
  ])('a receipt %s is refused and places nothing', async (what, change) => {
    await sync();
    const link = change(linkTo()) as PeerLink;
    const wrongMember = { ...member, signPublicKey: new Uint8Array(32).fill(1) };
    const peers: PeerDirectory = { members: () => [what.startsWith('that') ? wrongMember : member], link: () => link };
    const replicator = replicatorWith(link, { peers });
    const error = await replicator.run(target(replicator)).catch((thrown: unknown) => thrown);
    expect(isEdgeError(error, 'E_INTEGRITY', 'E_FORMAT')).toBe(true);
    expect(owner.store.index.placements.placedCount(HOLDER)).toBe(0);
    expect(holder.index.log.snapshots().length).toBe(0);
  });

  test('a peer that knows newer records of this agent means that this machine was put back: exit 9', async () => {
    await sync();
    const link = linkTo();
    const newer = {
      ...link,
      state: async () => ({
        heads: [{ agent: identity().agentId, head: { incarnation: 1, seq: 99, hash: '11'.repeat(32) } }],
        lastOp: 4,
        slots: [],
      }),
    };
    const replicator = replicatorWith(newer as PeerLink);
    const error = (await replicator.run(target(replicator)).catch((thrown: unknown) => thrown)) as EdgeError;
    expect(error.code).toBe('E_ROLLBACK');
    expect(error.exitCode).toBe(9);
    const other = {
      ...link,
      state: async () => ({
        heads: [
          { agent: identity().agentId, head: { ...owner.store.logs.head(identity().agentId)!, hash: '11'.repeat(32) } },
        ],
        lastOp: 4,
        slots: [],
      }),
    };
    const forked = replicatorWith(other as PeerLink);
    expect(((await forked.run(target(forked)).catch((thrown: unknown) => thrown)) as EdgeError).code).toBe('E_FORK');
  });

  test('waiting drives the targets, tells what was reached, and gives up in time', async () => {
    await sync();
    const [snapshot] = owner.store.index.log.snapshots();
    const record = { id: snapshot!.id, incarnation: 1, seq: snapshot!.seq };
    const replicator = replicatorWith(linkTo());
    replicator.enqueue(record);
    const reached = await replicator.waitFor([record], { kind: 'peers', count: 1 }, { timeoutMs: 20_000, drive: true });
    expect(reached.peers.map((peer) => peer.name)).toEqual(['dc-a']);
    expect(replicator.status()[0]).toMatchObject({ pending: 0, acknowledged: { seq: snapshot!.seq } });
    const error = (await replicator
      .waitFor([record], { kind: 'peers', count: 2 }, { timeoutMs: 300, drive: true })
      .catch((e: unknown) => e)) as EdgeError;
    expect(error.exitCode).toBe(5);
    expect(error.message).toContain('1 peer(s) (dc-a)');
  });

  test('a failure is kept in the queue with its reason and tried later', async () => {
    await sync();
    const [snapshot] = owner.store.index.log.snapshots();
    const replicator = replicatorWith(
      linkTo(() => {
        throw new EdgeError('E_NO_SPACE', 'the holder is full');
      }),
    );
    replicator.enqueue({ id: snapshot!.id, incarnation: 1, seq: snapshot!.seq });
    expect(replicator.due().length).toBe(1);
    await replicator.run(target(replicator)).catch(() => {});
    expect(replicator.due().length).toBe(0);
    expect(replicator.status()[0]).toMatchObject({
      pending: 1,
      attempts: 1,
      lastError: expect.stringContaining('the holder is full'),
    });
  });
});

describe('replicating to a bucket', () => {
  function bucketReplicator(store: ReturnType<typeof createMemoryObjectStore>, scope: 'all' | 'meta'): Replicator {
    const { agentId, incarnation } = identity();
    return replicatorWith(undefined, {
      policy: () => ({ copies: scope === 'all' ? 1 : 0, sites: 0, store: scope === 'all' ? 'b' : undefined }),
      coldStores: () => ['b'],
      bucket: async (t) => ({
        store: 'b',
        target: t.target,
        scope: t.scope,
        packs: openBucketPacks({ store, vault: FIXTURE_VAULT, life: { agent: agentId, incarnation } }),
        vault: openBucketVault(store, FIXTURE_VAULT),
      }),
    });
  }

  /** What only the bucket says, as a machine sees it that has nothing else. */
  async function checkBucket(
    store: ReturnType<typeof createMemoryObjectStore>,
    kinds: readonly ChunkKind[],
  ): Promise<number> {
    const { agentId, incarnation } = identity();
    const packs = openBucketPacks({ store, vault: FIXTURE_VAULT, life: { agent: agentId, incarnation } });
    const where = new Map<string, { pack: string; offset: number; sealedBytes: number; keyId: number }>();
    for await (const pack of packs.list()) {
      const contents = await packs.readContents(pack);
      for (const frame of contents!.frames) where.set(toHex(frame.id), { ...frame, pack: pack.name });
    }
    const vault = openBucketVault(store, FIXTURE_VAULT);
    let snapshots = 0;
    for (const segment of await vault.segments(agentId)) {
      for (const record of decodeSegment(await vault.getSegment(segment)).records) {
        expect(decodeEnvelope(record).agent).toBe(agentId);
        const body = openRecord(sodium, record, keys);
        if (body.type !== 'snapshot') continue;
        snapshots++;
        await reach(body.entry.pages ?? [], async (kind, id) => {
          if (!kinds.includes(kind)) return new Uint8Array(0);
          const at = where.get(toHex(id));
          if (at === undefined) throw new Error(`the bucket lacks ${kind} ${toHex(id)}`);
          const sealed = await packs.readRange(at.pack, { offset: at.offset, length: at.sealedBytes });
          return opener.open(kind, id, at.keyId, sealed!);
        });
      }
    }
    return snapshots;
  }

  const ALL = [ChunkKind.data, ChunkKind.tree, ChunkKind.list];

  test('the whole is there for a machine that has nothing else; a second pass puts nothing', async () => {
    const store = createMemoryObjectStore();
    await sync();
    const replicator = bucketReplicator(store, 'all');
    expect(replicator.targets().map((t) => t.target)).toEqual(['store:b']);
    await replicator.run(target(replicator));
    expect(await checkBucket(store, ALL)).toBe(1);
    expect(await openBucketVault(store, FIXTURE_VAULT).descriptor()).toBeDefined();
    expect(await replicator.run(target(replicator))).toMatchObject({ chunks: 0, sentBytes: 0, records: 0 });
    const [snapshot] = owner.store.index.log.snapshots();
    expect(replicator.durability({ incarnation: 1, seq: snapshot!.seq }).stores).toEqual(['b']);
  });

  test('a cold tier gets the trees and the log, and does not count as a copy', async () => {
    const store = createMemoryObjectStore();
    await sync();
    const replicator = bucketReplicator(store, 'meta');
    await replicator.run(target(replicator));
    expect(await checkBucket(store, [ChunkKind.tree, ChunkKind.list])).toBe(1);
    await expect(checkBucket(store, ALL)).rejects.toThrow('the bucket lacks 1');
    expect(replicator.durability({ incarnation: 1, seq: 1 }).stores).toEqual([]);
    const full = bucketReplicator(store, 'all');
    await full.run(target(full));
    expect(await checkBucket(store, ALL)).toBe(1);
  });

  test('trees that lie there already are not called placed while the content below them is not there', async () => {
    const base = createMemoryObjectStore();
    await sync();
    const meta = bucketReplicator(base, 'meta');
    await meta.run(target(meta));
    const fault = {
      verb: 'put',
      key: /\.pack$/,
      effect: { kind: 'error', error: new EdgeError('E_STORE', 'struck') },
    } as const;
    const full = bucketReplicator(createFaultyObjectStore(base, [fault], { clock: realClock, random }), 'all');
    await full.run(target(full)).catch(() => {});
    const pages = owner.store.index.log.snapshots()[0]!.body.entry.pages!;
    expect([...owner.store.index.placements.placed('store:b', pages)]).toEqual(pages.map(() => 0));
  });

  test.each(['error', 'drop-reply'] as const)(
    'with a %s at any put, a later pass completes and no record is there before its chunks',
    async (kind) => {
      await sync();
      const base = createMemoryObjectStore();
      for (let nth = 1; nth <= 6; nth++) {
        const store = createFaultyObjectStore(
          base,
          [{ verb: 'put', nth, effect: { kind, error: new EdgeError('E_STORE', 'struck', { retryable: true }) } }],
          { clock: realClock, random },
        );
        const replicator = bucketReplicator(store, 'all');
        await replicator.run(target(replicator)).catch((error: unknown) => {
          if (!isEdgeError(error, 'E_STORE')) throw error;
        });
        await checkBucket(base, ALL);
        writeFileSync(join(folder.path, `files/more-${nth}`), createSeededRandom(`m${nth}`)(30_000));
        await sync();
      }
      const replicator = bucketReplicator(base, 'all');
      await replicator.run(target(replicator));
      expect(await checkBucket(base, ALL)).toBe(owner.store.index.log.snapshots().length);
    },
  );

  test('a bucket that stores other bytes than it was given is found out, and nothing is called placed', async () => {
    await sync();
    const store = createFaultyObjectStore(
      createMemoryObjectStore(),
      [{ verb: 'put', key: /\.pack$/, effect: { kind: 'lie' } }],
      { clock: realClock, random },
    );
    const replicator = bucketReplicator(store, 'all');
    const error = await replicator.run(target(replicator)).catch((thrown: unknown) => thrown);
    expect(isEdgeError(error, 'E_INTEGRITY')).toBe(true);
    expect(owner.store.index.placements.placedCount('store:b')).toBe(0);
  });
});
