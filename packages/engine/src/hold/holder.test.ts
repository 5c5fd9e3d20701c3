import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { verifyStatement } from '../chain/statement.ts';
import { decodeUnsatisfiedList, listDigest } from '../chain/unsatisfied-list.ts';
import { loadSodium } from '../codec/sodium.ts';
import { ChunkKind, toHex } from '../core/ids.ts';
import type { SealedChunk } from '../core/ports/chunk-store.ts';
import type { OutgoingFrame } from '../core/ports/peer.ts';
import { type HolderFixture, type HolderOptions, openHolderFixture } from '../testing/holder-fixture.ts';
import { formOf, type OwnerFixture, ownerFixture } from '../testing/owner-fixture.ts';
import { FIXTURE_VAULT, readable, temporaryFolder } from '../testing/store-fixture.ts';

const sodium = await loadSodium();

let folder: ReturnType<typeof temporaryFolder>;
let owner: OwnerFixture;
let at: HolderFixture;

beforeEach(async () => {
  folder = temporaryFolder();
  owner = ownerFixture('owner');
  await open();
});
afterEach(() => {
  at.close();
  folder.remove();
});

async function open(options: Partial<HolderOptions> = {}): Promise<void> {
  at = await openHolderFixture(folder.path, { ownerKey: owner.signPublicKey, ...options });
}

async function reopen(options: Partial<HolderOptions> = {}): Promise<void> {
  at.close();
  await open(options);
}

async function* frames(
  chunks: readonly SealedChunk[],
  change: (frame: OutgoingFrame) => OutgoingFrame = (frame) => frame,
): AsyncGenerator<OutgoingFrame> {
  for (const { id, keyId, packClass, bytes } of chunks) yield change({ id, keyId, packClass, sealed: bytes });
}

const texts = (count: number, of = owner, kind: ChunkKind = ChunkKind.data): SealedChunk[] =>
  Array.from({ length: count }, (_, i) => of.chunk(`text ${kind} ${i}`, kind));

/** Adds the chunks to the owner's chain and hands over all of it. */
async function hold(chunks: readonly SealedChunk[], of = owner, shard = 1): Promise<void> {
  of.add(shard, chunks.map(formOf));
  await at.holder.takeEntries(of.ownerKeys, of.entries);
}

const wanted = async (of = owner, shard = 1) => at.holder.wanted(of.agent, { shard, afterSeq: 0, entriesMax: 16 });

function ask(of = owner, shown?: Uint8Array) {
  const nonce = new Uint8Array(32).fill(7);
  const { statement, lists } = at.holder.statement({ owner: of.agent, nonce, wantsLists: true, shown });
  return { bytes: statement, lists, ...verifyStatement(sodium, statement, at.member.signPublicKey) };
}

describe('holding', () => {
  test('entries are taken before their frames; what is wanted is stated, and then what came is whole', async () => {
    const chunks = [...texts(5), ...texts(2, owner, ChunkKind.tree), ...texts(2, owner, ChunkKind.list)];
    await hold(chunks);
    owner.record();
    await at.holder.takeEntries(owner.ownerKeys, owner.entries);
    expect(ask()).toMatchObject({
      owner: owner.agent,
      vault: FIXTURE_VAULT,
      position: owner.position,
      nonce: new Uint8Array(32).fill(7),
      shards: [{ shard: 1, applied: 2, whole: 0, wanted: 9, lost: 0, unreadable: 0 }],
    });
    expect(await wanted()).toEqual([{ seq: 1, positions: [0, 1, 2, 3, 4, 5, 6, 7, 8] }]);
    expect(await at.holder.receive(owner.agent, frames(chunks))).toBe(9);
    expect(await readable(at.store, chunks)).not.toContain(false);
    expect(ask().shards).toMatchObject([{ applied: 2, whole: 2, wanted: 0 }]);
    expect(await wanted()).toEqual([]);
  });

  test('the list of a statement is of its digest, sorted, with reasons', async () => {
    const chunks = texts(40);
    await hold(chunks);
    await at.holder.receive(owner.agent, frames(chunks.slice(0, 30)));
    const { shards, lists } = ask();
    expect(listDigest(lists[0]!)).toBe(shards[0]!.listDigest);
    const list = decodeUnsatisfiedList(lists[0]!);
    expect(list.map(({ id, reason }) => `${toHex(id)} ${reason}`)).toEqual(
      chunks
        .slice(30)
        .map(({ id }) => `${toHex(id)} wanted`)
        .sort(),
    );
    expect(
      at.holder.statement({ owner: owner.agent, nonce: new Uint8Array(32), wantsLists: false, shown: undefined }).lists,
    ).toEqual([]);
  });

  test('another owner’s copy that was opened here is not asked for again', async () => {
    const other = ownerFixture('other');
    const chunks = texts(3);
    await hold(chunks);
    await at.holder.receive(owner.agent, frames(chunks));
    at.close();
    await open({ ownerKey: other.signPublicKey });
    await hold(texts(3, other), other);
    expect(await wanted(other)).toEqual([]);
    expect(ask(other).shards).toMatchObject([{ wanted: 0, whole: 1 }]);
  });

  test('a blind holder shares within one owner only, and takes only listed forms', async () => {
    await reopen({ isBlind: true });
    const other = ownerFixture('other');
    const chunks = texts(3);
    await hold(chunks);
    await at.holder.receive(owner.agent, frames(chunks));
    await reopen({ isBlind: true, ownerKey: other.signPublicKey });
    const theirs = texts(3, other);
    await hold(theirs, other);
    expect(await wanted(other)).toEqual([{ seq: 1, positions: [0, 1, 2] }]);
    await expect(at.holder.receive(other.agent, frames(chunks))).rejects.toMatchObject({ code: 'E_INTEGRITY' });
    expect(await at.holder.receive(other.agent, frames(theirs))).toBe(3);
    expect(await wanted(other)).toEqual([]);
  });

  test('after a rebuild a copy of another owner counts only when it was opened again', async () => {
    const other = ownerFixture('other');
    const chunks = texts(3);
    await hold(chunks);
    await at.holder.receive(owner.agent, frames(chunks));
    at.close();
    rmSync(at.store.dataDir.indexFile);
    await open({ ownerKey: other.signPublicKey });
    expect(at.store.index.chunks.locate([chunks[0]!.id])[0]![0]!.identified).toBe(false);
    await hold(texts(3, other), other);
    expect(ask(other).shards).toMatchObject([{ wanted: 3 }]);
    expect(await wanted(other)).toEqual([]);
    expect(ask(other).shards).toMatchObject([{ wanted: 0 }]);
  });

  test('what is lost is lost after a rebuild too, and the epoch rises before it is stated', async () => {
    const chunks = texts(4);
    await hold(chunks);
    await at.holder.receive(owner.agent, frames(chunks));
    const before = ask();
    at.close();
    rmSync(join(at.store.dataDir.packDir), { recursive: true });
    rmSync(at.store.dataDir.indexFile);
    await open();
    const after = ask();
    expect(after.shards).toMatchObject([{ lost: 4, wanted: 0, whole: 0 }]);
    expect(after.storeId).toBe(before.storeId);
    expect(after.epoch).toBeGreaterThan(before.epoch);
    expect(after.startId).not.toBe(before.startId);
  });

  test('held chunks are not dropped', async () => {
    const chunks = texts(2);
    await hold(chunks);
    await at.holder.receive(owner.agent, frames(chunks));
    expect(await at.store.chunks.drop(chunks.map((chunk) => chunk.id))).toMatchObject({ bytesFreed: 0 });
    expect(await readable(at.store, chunks)).toEqual([true, true]);
  });
});

describe('what comes is not believed', () => {
  test('a frame that is not held, of another form, of another key or class, or that opens to something else', async () => {
    const [a, b] = texts(2) as [SealedChunk, SealedChunk];
    await hold([a]);
    const refused = async (given: AsyncIterable<OutgoingFrame>, text: string): Promise<void> =>
      await expect(at.holder.receive(owner.agent, given)).rejects.toMatchObject({
        code: 'E_INTEGRITY',
        message: expect.stringContaining(text),
      });
    await refused(frames([b]), 'it is not held');
    await refused(
      frames([a], (frame) => ({ ...frame, sealed: b.bytes })),
      'not a form',
    );
    await refused(
      frames([a], (frame) => ({ ...frame, packClass: 'meta' })),
      'key or class',
    );
    expect(await readable(at.store, [a])).toEqual([false]);
    // Bytes that the owner listed, but that are of another chunk: only who has the key can tell.
    const wrong: SealedChunk = {
      ...a,
      bytes: b.bytes,
      sha256: createHash('sha256').update(b.bytes).digest(),
      id: owner.chunk('something else').id,
    };
    owner.add(1, [formOf(wrong)]);
    await at.holder.takeEntries(owner.ownerKeys, owner.entries);
    await refused(frames([wrong]), 'does not open');
  });

  test('frames before a bad one are kept', async () => {
    const chunks = texts(3);
    await hold(chunks.slice(0, 2));
    await expect(at.holder.receive(owner.agent, frames(chunks))).rejects.toMatchObject({ code: 'E_INTEGRITY' });
    expect(await wanted()).toEqual([{ seq: 1, positions: [0, 1] }]);
    // The bad one was in the same group: the group is refused as a whole, what was stored before it stays.
    await at.holder.receive(owner.agent, frames(chunks.slice(0, 1)));
    await expect(at.holder.receive(owner.agent, frames(chunks.slice(1)))).rejects.toMatchObject({
      code: 'E_INTEGRITY',
    });
    expect(await readable(at.store, chunks)).toEqual([true, false, false]);
  });

  test('entries of another signer, with a gap, or beside what is here', async () => {
    const stranger = ownerFixture('stranger');
    await expect(
      at.holder.takeEntries({ ...owner.ownerKeys, signPublicKey: () => stranger.signPublicKey }, [owner.record()]),
    ).rejects.toMatchObject({ code: 'E_INTEGRITY' });
    const first = owner.record();
    const second = owner.record();
    const third = owner.record();
    await expect(at.holder.takeEntries(owner.ownerKeys, [third])).rejects.toMatchObject({ code: 'E_FAILED' });
    expect(first.head.header.seq).toBeLessThan(second.head.header.seq);
    await at.holder.takeEntries(owner.ownerKeys, owner.entries);
    owner.position = { incarnation: 1, seq: 1, link: owner.entries[0]!.head.link };
    owner.record();
    await expect(at.holder.takeEntries(owner.ownerKeys, owner.entries.slice(-1))).rejects.toMatchObject({
      code: 'E_FORK',
      exitCode: 9,
    });
  });
});

test('of an owner with more shards than a statement names nothing is stated, and no list is made for it', async () => {
  const [one] = texts(1);
  for (let shard = 1; shard <= 1025; shard++) owner.add(shard, [formOf(one!)]);
  await at.holder.takeEntries(owner.ownerKeys, owner.entries);
  expect(() => ask()).toThrow(expect.objectContaining({ code: 'E_LIMIT' }));
});

describe('a store that was put back', () => {
  test('finds itself by its own later statement, and raises its epoch above both', async () => {
    await hold(texts(2));
    const later = ask();
    await reopen();
    const again = ask(owner, later.bytes);
    expect(again.epoch).toBe(later.epoch);
    // The same store with less than it stated: its folder was put back.
    at.close();
    rmSync(join(at.store.dataDir.path, 'chains'), { recursive: true });
    rmSync(at.store.dataDir.indexFile);
    await open();
    const before = ask();
    expect(before).toMatchObject({ storeId: later.storeId, position: undefined });
    const { epoch } = ask(owner, later.bytes);
    expect(epoch).toBeGreaterThan(later.epoch);
    // The same statement again, from whoever has it, says nothing new.
    expect(ask(owner, later.bytes).epoch).toBe(epoch);
  });

  test('a statement of another store, or that it did not sign, raises nothing', async () => {
    await hold(texts(1));
    const { bytes, epoch } = ask();
    const damaged = Uint8Array.from(bytes);
    damaged[damaged.length - 1]! ^= 1;
    expect(ask(owner, damaged).epoch).toBe(epoch);
    expect(ask(owner, new Uint8Array(10)).epoch).toBe(epoch);
  });
});

test('copies are proved by a hash with the asker’s nonce, over sealed bytes or over what they open to', async () => {
  const chunks = texts(2);
  await hold(chunks);
  await at.holder.receive(owner.agent, frames(chunks));
  const nonce = new Uint8Array(32).fill(9);
  const ids = [...chunks.map(({ id }) => id), owner.chunk('absent').id];
  const sealed = await at.holder.verify(nonce, ids, 'sealed');
  expect(sealed.map((hash) => hash && toHex(hash))).toEqual([
    ...chunks.map(({ bytes }) => toHex(sodium.crypto_generichash(32, bytes, nonce))),
    undefined,
  ]);
  const plain = await at.holder.verify(nonce, ids, 'plain');
  expect(plain.map((hash) => hash && toHex(hash))).toEqual([
    ...[0, 1].map((i) => toHex(sodium.crypto_generichash(32, Buffer.from(`text 1 ${i}`), nonce))),
    undefined,
  ]);
});
