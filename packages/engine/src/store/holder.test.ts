import { createHash } from 'node:crypto';
import { appendFileSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createOpener } from '../codec/open.ts';
import { loadSodium } from '../codec/sodium.ts';
import { ChunkKind } from '../core/ids.ts';
import type { SealedChunk } from '../core/ports/chunk-store.ts';
import type { OutgoingFrame } from '../core/ports/peer.ts';
import { holdBatchHash } from '../log/hold-batch.ts';
import { verifyReceipt } from '../log/receipt.ts';
import { openRecord } from '../log/record.ts';
import type { SnapshotBody } from '../log/record-body.ts';
import { fixtureKeys, type OwnerFixture, ownerFixture } from '../testing/owner-fixture.ts';
import { realClock } from '../testing/real-clock.ts';
import { FIXTURE_VAULT, type OpenedStore, openStore, readable, temporaryFolder } from '../testing/store-fixture.ts';
import { hashPlaintextsWith } from './hash-plaintexts.ts';
import { createHolder, type Holder, type HoldOwner } from './holder.ts';
import { identifyWith } from './identify-frames.ts';

const sodium = await loadSodium();
const self = 'ee'.repeat(16);
const selfSeed = new Uint8Array(32).fill(5);
const selfKey = sodium.crypto_sign_seed_keypair(selfSeed).publicKey;
const keys = fixtureKeys();

let folder: ReturnType<typeof temporaryFolder>;
let store: OpenedStore;
let holder: Holder;
let owner: OwnerFixture;

beforeEach(async () => {
  folder = temporaryFolder();
  owner = ownerFixture('owner');
  await open();
});
afterEach(() => {
  store.close();
  folder.remove();
});

async function open(blind = false): Promise<void> {
  store = await openStore(folder.path, { openRecord: (record) => openRecord(sodium, record, keys) });
  holder = createHolder({
    sodium,
    vault: FIXTURE_VAULT,
    self,
    signSeed: selfSeed,
    clock: realClock,
    dataDir: store.dataDir,
    index: store.index,
    chunks: store.chunks,
    log: store.logs,
    identify: blind ? undefined : identifyWith(createOpener(sodium, keys)),
    hashPlaintexts: blind ? undefined : hashPlaintextsWith(sodium, createOpener(sodium, keys)),
    openRecord: blind ? undefined : (record) => openRecord(sodium, record, keys),
    signKeyOf: () => undefined,
    floorBytes: 0,
  });
}

async function reopen(blind = false): Promise<void> {
  store.close();
  await open(blind);
}

const card = (of = owner, over: Partial<HoldOwner> = {}): HoldOwner => ({
  agent: of.agent,
  incarnation: of.incarnation,
  signPublicKey: of.signPublicKey,
  ...over,
});

async function* frames(
  chunks: readonly SealedChunk[],
  change: (frame: OutgoingFrame) => OutgoingFrame = (frame) => frame,
): AsyncGenerator<OutgoingFrame> {
  for (const { id, keyId, packClass, bytes } of chunks) yield change({ id, keyId, packClass, sealed: bytes });
}

const texts = (count: number, of = owner, kind: ChunkKind = ChunkKind.data): SealedChunk[] =>
  Array.from({ length: count }, (_, i) => of.chunk(`text ${kind} ${i}`, kind));

async function give(chunks: readonly SealedChunk[], op: number, of = owner): Promise<Uint8Array> {
  const reply = await holder.hold(card(of), of.batch(chunks, op, self));
  return reply.receipt ?? holder.receive(card(of), op, frames(reply.missing.map((i) => chunks[i]!)));
}

describe('holding', () => {
  test('a batch answers what is missing; its frames earn a receipt; then nothing is missing', async () => {
    const chunks = [...texts(5), ...texts(2, owner, ChunkKind.tree), ...texts(2, owner, ChunkKind.list)];
    const batch = owner.batch(chunks, 1, self);
    expect(await holder.hold(card(), batch)).toEqual({ missing: [0, 1, 2, 3, 4, 5, 6, 7, 8], receipt: undefined });
    const receipt = verifyReceipt(sodium, await holder.receive(card(), 1, frames(chunks)), selfKey);
    expect(receipt).toMatchObject({
      owner: owner.agent,
      holder: self,
      op: 1,
      count: 9,
      batchHash: holdBatchHash(batch),
    });
    expect(await readable(store, chunks)).not.toContain(false);
    expect((await holder.hold(card(), batch)).receipt).toBeDefined();
    expect((await holder.hold(card(), owner.batch(chunks, 2, self))).missing).toEqual([]);
    expect(store.index.holds.heldCount(owner.agent)).toEqual({ chunks: 9 });
    expect(readFileSync(store.dataDir.holdLogFile(owner.agent)).length).toBeGreaterThan(2 * 9 * 76);
  });

  test('what another owner brought and this agent opened is not asked for again', async () => {
    const other = ownerFixture('other');
    await give(texts(3), 1);
    const same = texts(3, other);
    expect((await holder.hold(card(other), other.batch(same, 1, self))).missing).toEqual([]);
    expect(store.index.holds.holdersOf(same[0]!.id)).toHaveLength(2);
  });

  test('a blind holder shares within one owner only', async () => {
    await reopen(true);
    await give(texts(3), 1);
    const other = ownerFixture('other');
    expect((await holder.hold(card(), owner.batch(texts(3), 2, self))).missing).toEqual([0, 1, 2]);
    expect((await holder.hold(card(other), other.batch(texts(3, other), 1, self))).missing).toEqual([0, 1, 2]);
  });

  test('after a rebuild a copy counts for another owner only after it was opened again', async () => {
    const chunks = texts(3);
    await give(chunks, 1);
    store.close();
    rmSync(store.dataDir.indexFile);
    await open();
    expect(store.reconciled).toMatchObject({ rebuilt: true, holdBatches: 1 });
    expect(store.index.holds.heldCount()).toEqual({ chunks: 3 });
    expect(store.index.chunks.locate([chunks[0]!.id])[0]![0]!.identified).toBe(false);
    const other = ownerFixture('other');
    expect((await holder.hold(card(other), other.batch(texts(3, other), 1, self))).missing).toEqual([]);
    expect(store.index.chunks.locate([chunks[0]!.id])[0]![0]!.identified).toBe(true);
  });

  test('held chunks are not dropped', async () => {
    const chunks = texts(2);
    await give(chunks, 1);
    expect(await store.chunks.drop(chunks.map((chunk) => chunk.id))).toMatchObject({ bytesFreed: 0 });
    expect(await readable(store, chunks)).toEqual([true, true]);
  });

  test('the same op with another content, an op behind, an older head, an older life: all are refused', async () => {
    const [a, b] = texts(2) as [SealedChunk, SealedChunk];
    await give([a], 5);
    await expect(holder.hold(card(), owner.batch([b], 5, self))).rejects.toMatchObject({
      code: 'E_ROLLBACK',
      exitCode: 9,
    });
    await expect(holder.hold(card(), owner.batch([b], 4, self))).rejects.toMatchObject({ code: 'E_ROLLBACK' });
    const { head } = { head: owner.head };
    owner.record();
    const old = owner.head;
    owner.record();
    await give([b], 6);
    const stale = owner.batch([a, b], 7, self, { head: old! });
    await expect(holder.hold(card(), stale)).rejects.toMatchObject({ code: 'E_ROLLBACK' });
    const forked = owner.batch([a, b], 7, self, { head: { ...owner.head!, hash: '12'.repeat(32) } });
    await expect(holder.hold(card(), forked)).rejects.toMatchObject({ code: 'E_FORK' });
    await expect(holder.hold(card(owner, { incarnation: 2 }), owner.batch([a, b], 7, self))).rejects.toMatchObject({
      code: 'E_ROLLBACK',
    });
    const next = owner.batch([a, b], 7, self, { head: { incarnation: 2, seq: 9, hash: '12'.repeat(32) } });
    await expect(holder.hold(card(), next)).rejects.toMatchObject({ code: 'E_DENIED' });
    expect(head).toBeUndefined();
    // A new life numbers its operations anew.
    const life = owner.batch([a, b], 1, self, { head: { incarnation: 2, seq: 9, hash: '12'.repeat(32) } });
    expect((await holder.hold(card(owner, { incarnation: 2 }), life)).missing).toEqual([]);
  });

  test('a batch of a stranger, for another holder or vault, or that lets go, is refused', async () => {
    const chunks = texts(1);
    const stranger = ownerFixture('stranger');
    await expect(
      holder.hold(card(owner, { signPublicKey: stranger.signPublicKey }), owner.batch(chunks, 1, self)),
    ).rejects.toMatchObject({ code: 'E_INTEGRITY' });
    await expect(holder.hold(card(), owner.batch(chunks, 1, 'dd'.repeat(16)))).rejects.toMatchObject({
      code: 'E_DENIED',
    });
    await expect(holder.hold(card(), owner.batch(chunks, 1, self, { vault: 'cc'.repeat(16) }))).rejects.toMatchObject({
      code: 'E_DENIED',
    });
    await expect(holder.hold(card(), owner.batch(chunks, 1, self, { owner: 'cc'.repeat(16) }))).rejects.toMatchObject({
      code: 'E_DENIED',
    });
    await expect(holder.hold(card(), owner.batch(chunks, 1, self, { verb: 'release' }))).rejects.toMatchObject({
      code: 'E_NEWER_FORMAT',
    });
    expect(store.index.holds.heldCount()).toEqual({ chunks: 0 });
  });
});

describe('frames', () => {
  test.each([
    ['flipped', (frame: OutgoingFrame) => ({ ...frame, sealed: Buffer.from(frame.sealed).fill(1, 30, 31) })],
    ['cut', (frame: OutgoingFrame) => ({ ...frame, sealed: frame.sealed.subarray(1) })],
    ['of another key', (frame: OutgoingFrame) => ({ ...frame, keyId: 2 })],
    ['of another class', (frame: OutgoingFrame) => ({ ...frame, packClass: 'meta' as const })],
    ['not asked for', (frame: OutgoingFrame) => ({ ...frame, id: new Uint8Array(32) })],
  ])('a frame that is %s is refused, and what came before it is kept', async (_what, change) => {
    const chunks = texts(3);
    await holder.hold(card(), owner.batch(chunks, 1, self));
    let count = 0;
    const stream = frames(chunks, (frame) => (++count === 3 ? change(frame) : frame));
    await expect(holder.receive(card(), 1, stream)).rejects.toMatchObject({ code: 'E_INTEGRITY' });
    expect((await holder.hold(card(), owner.batch(chunks, 1, self))).missing).toEqual([2]);
  });

  test('a signed chunk that is not what its id names is refused by who has the key', async () => {
    const [good, other] = texts(2) as [SealedChunk, SealedChunk];
    const planted = { ...other, id: good.id };
    await holder.hold(card(), owner.batch([planted], 1, self));
    await expect(holder.receive(card(), 1, frames([planted]))).rejects.toMatchObject({ code: 'E_INTEGRITY' });
    expect(store.index.chunks.locate([good.id])[0]).toEqual([]);
  });

  test('a broken stream keeps what came; too few frames earn no receipt', async () => {
    const chunks = texts(4);
    await holder.hold(card(), owner.batch(chunks, 1, self));
    const broken = (async function* () {
      yield* frames(chunks.slice(0, 2));
      throw new Error('connection reset');
    })();
    await expect(holder.receive(card(), 1, broken)).rejects.toThrow('connection reset');
    expect((await holder.hold(card(), owner.batch(chunks, 1, self))).missing).toEqual([2, 3]);
    await expect(holder.receive(card(), 1, frames(chunks.slice(2, 3)))).rejects.toMatchObject({
      code: 'E_FAILED',
      retryable: true,
    });
    await expect(holder.receive(card(), 9, frames(chunks))).rejects.toMatchObject({
      code: 'E_FAILED',
      retryable: true,
    });
    await reopen();
    await expect(holder.receive(card(), 1, frames(chunks))).rejects.toMatchObject({
      code: 'E_FAILED',
      retryable: true,
    });
    expect((await holder.hold(card(), owner.batch(chunks, 1, self))).missing).toEqual([3]);
  });

  test('keyed hashes are of the bytes on the disk now', async () => {
    const chunks = texts(3);
    await give(chunks, 1);
    const nonce = new Uint8Array(32).fill(8);
    const wanted = chunks.map((chunk) => sodium.crypto_generichash(32, chunk.bytes, nonce));
    const unknown = new Uint8Array(32);
    const ids = chunks.map((chunk) => chunk.id);
    expect(await holder.verify(nonce, [...ids, unknown], 'sealed')).toEqual([...wanted, undefined]);
    const plain = chunks.map((_, i) =>
      sodium.crypto_generichash(32, Buffer.from(`text ${ChunkKind.data} ${i}`), nonce),
    );
    expect(await holder.verify(nonce, [...ids, unknown], 'plain')).toEqual([...plain, undefined]);
    const [address] = await store.chunks.locate([chunks[1]!.id]);
    const path = store.chunks.packPath(address!.pack!);
    const bytes = readFileSync(path);
    bytes[address!.offset! + 40] = bytes[address!.offset! + 40]! ^ 4;
    writeFileSync(path, bytes);
    const [first, second] = await holder.verify(nonce, ids, 'sealed');
    expect(first).toEqual(wanted[0]);
    expect(second).not.toEqual(wanted[1]);
    expect(await holder.verify(nonce, ids, 'plain')).toEqual([plain[0], undefined, plain[2]]);
    await reopen(true);
    expect(await holder.verify(nonce, ids, 'plain')).toEqual([undefined, undefined, undefined]);
  });

  test('what is in trees and lists is hashed, too', async () => {
    const chunks = [...texts(2, owner, ChunkKind.tree), ...texts(2, owner, ChunkKind.list)];
    await give(chunks, 1);
    const nonce = new Uint8Array(32).fill(9);
    const ids = chunks.map((chunk) => chunk.id);
    expect(await holder.verify(nonce, ids, 'plain')).not.toContain(undefined);
  });
});

describe('records', () => {
  const snapshot = (pages: Uint8Array[]): SnapshotBody => ({
    type: 'snapshot',
    root: 'r',
    path: new Uint8Array(Buffer.from('/r')),
    timeNs: 1n,
    entry: { name: new Uint8Array(0), type: 'dir', mtimeNs: 1n, posix: { mode: 0o755, uid: 0, gid: 0 }, pages },
    stats: { files: 0, dirs: 1, others: 0, bytes: 0, newBytes: 0, storedBytes: 0 },
    failed: 0,
    program: 't',
  });

  test('come last: a snapshot whose pages are not here is refused, then taken', async () => {
    const page = owner.chunk('a page', ChunkKind.tree);
    const record = owner.record(snapshot([page.id]));
    await expect(holder.addRecords(card(), [record.bytes])).rejects.toMatchObject({
      code: 'E_FAILED',
      retryable: true,
    });
    await give([page], 1);
    expect(await holder.addRecords(card(), [record.bytes])).toEqual(owner.head);
    expect(await holder.addRecords(card(), [record.bytes])).toEqual(owner.head);
    expect(store.index.log.snapshots()[0]!.id).toBe(record.hash);
    store.close();
    rmSync(store.dataDir.indexFile);
    await open();
    expect(store.reconciled.records).toBe(1);
    expect(store.index.log.snapshots()[0]!.id).toBe(record.hash);
  });

  test('of another agent, a later life, or with a wrong signature are refused', async () => {
    const stranger = ownerFixture('stranger');
    await expect(holder.addRecords(card(), [stranger.record().bytes])).rejects.toMatchObject({ code: 'E_DENIED' });
    const forged = Buffer.from(owner.record().bytes);
    forged[forged.length - 1] = forged[forged.length - 1]! ^ 1;
    await expect(holder.addRecords(card(), [forged])).rejects.toMatchObject({ code: 'E_INTEGRITY' });
    owner.head = undefined;
    owner.incarnation = 2;
    await expect(holder.addRecords(card(owner, { incarnation: 1 }), [owner.record().bytes])).rejects.toMatchObject({
      code: 'E_DENIED',
    });
    await expect(holder.addRecords(card(owner), [])).rejects.toMatchObject({ code: 'E_USAGE' });
    expect(store.logs.agents()).toEqual([]);
  });
});

describe('hold logs', () => {
  test('an unfinished end is cut off; its batch had no receipt', async () => {
    await give(texts(2), 1);
    appendFileSync(store.dataDir.holdLogFile(owner.agent), Buffer.from([200, 5, 0, 0, 0x45, 0x44]));
    await reopen();
    expect(store.reconciled.problems).toEqual([]);
    await give(texts(3), 2);
    await reopen();
    expect(store.index.holds.lastOp(owner.agent)).toBe(2);
  });

  test('a batch that was logged but not indexed when the machine died is applied at the start', async () => {
    await give(texts(1), 1);
    const batch = owner.batch(texts(3), 2, self);
    const framed = Buffer.alloc(4 + batch.length);
    framed.writeUInt32LE(batch.length, 0);
    framed.set(batch, 4);
    appendFileSync(store.dataDir.holdLogFile(owner.agent), framed);
    await reopen();
    expect(store.reconciled.holdBatches).toBe(1);
    expect(store.index.holds.heldCount(owner.agent)).toEqual({ chunks: 3 });
    expect((await holder.hold(card(), batch)).missing).toEqual([1, 2]);
  });

  test('damage is named with file and offset, everything counts as held, and nothing is appended behind it', async () => {
    const chunks = texts(3);
    await give(chunks, 1);
    await give(texts(2, owner, ChunkKind.tree), 2);
    store.close();
    rmSync(store.dataDir.indexFile);
    const path = store.dataDir.holdLogFile(owner.agent);
    const bytes = readFileSync(path);
    const good = bytes[5]!;
    bytes[5] = 0;
    writeFileSync(path, bytes);
    await open();
    expect(store.reconciled.problems[0]).toMatchObject({
      code: 'E_INTEGRITY',
      message: expect.stringContaining(`${path} is damaged at byte 0`),
    });
    expect(store.reconciled.holdBatches).toBe(1);
    expect(await store.chunks.drop(chunks.map((chunk) => chunk.id))).toMatchObject({ bytesFreed: 0 });
    await expect(holder.hold(card(), owner.batch(chunks, 3, self))).rejects.toMatchObject({ code: 'E_INTEGRITY' });
    const other = ownerFixture('other');
    expect((await holder.hold(card(other), other.batch(texts(1, other), 1, self))).missing).toEqual([]);
    await reopen();
    expect(store.reconciled.problems).toHaveLength(1);
    expect(store.index.holds.incomplete()).toContain(path);
    bytes[5] = good;
    writeFileSync(path, bytes);
    await reopen();
    expect(store.reconciled).toMatchObject({ problems: [], holdBatches: 1 });
    expect(store.index.holds.incomplete()).toBeUndefined();
    expect(store.index.holds.ownerState(owner.agent)).toMatchObject({ lastOp: 2, held: 5 });
    expect((await holder.hold(card(), owner.batch(chunks, 3, self))).missing).toEqual([]);
  });

  test('one that lost acknowledged bytes is named', async () => {
    await give(texts(3), 1);
    const path = store.dataDir.holdLogFile(owner.agent);
    truncateSync(path, 50);
    await reopen();
    expect(store.reconciled.problems[0]).toMatchObject({ code: 'E_INTEGRITY', message: expect.stringContaining(path) });
    expect(store.index.holds.heldCount()).toEqual({ chunks: 3 });
    expect(createHash('sha256').update(readFileSync(path)).digest('hex')).toHaveLength(64);
  });
});
