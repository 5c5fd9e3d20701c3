import { rmSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Position } from '../chain/position.ts';
import type { ChunkId } from '../core/ids.ts';
import type { SealedChunk } from '../core/ports/chunk-store.ts';
import type { CardOfTakeover } from '../store/chains/chains-deps.ts';
import { type HolderFixture, openHolderFixture } from '../testing/holder-fixture.ts';
import { formOf, type OwnerFixture, ownerFixture } from '../testing/owner-fixture.ts';
import { readable, temporaryFolder } from '../testing/store-fixture.ts';
import { type CollectDeps, type CollectPolicy, type CollectReport, collectReleased } from './collect-released.ts';
import { releaseBrake } from './grace-clock.ts';

const HOUR_NS = 3_600_000_000_000n;
const POLICY: CollectPolicy = { graceNs: 10n * HOUR_NS, gracePasses: 2, brakeShare: 0.5, brakeBytesMin: 1_000_000 };

let folder: ReturnType<typeof temporaryFolder>;
let owner: OwnerFixture;
let at: HolderFixture;
let runningNs: bigint;

beforeEach(async () => {
  folder = temporaryFolder();
  owner = ownerFixture('owner');
  runningNs = 0n;
  await open();
});
afterEach(() => {
  at.close();
  folder.remove();
});

async function open(): Promise<void> {
  at = await openHolderFixture(folder.path, { ownerKey: owner.signPublicKey, openCard });
}

/** A card in these tests is the JSON of what is read from it. */
const cardOf = (incarnation: number, base?: Position): Uint8Array => Buffer.from(JSON.stringify({ incarnation, base }));

function openCard(body: Uint8Array): CardOfTakeover {
  const { incarnation, base } = JSON.parse(Buffer.from(body).toString()) as { incarnation: number; base?: Position };
  return { agentId: owner.agent, incarnation, signPublicKey: owner.signPublicKey, base };
}

function deps(): CollectDeps {
  const { chains, chunks, index } = at.store;
  return {
    self: at.member.agent,
    chains,
    index,
    chunks,
    isHeld: (id: ChunkId) =>
      index.holds.isHeldByOthers(id) || (chains.heldForms(at.member.agent, [id])[0] ?? []).length > 0,
    heldBytes: (of) => chains.shards(of).reduce((sum, { held }) => sum + held * 100, 0),
    running: { nowNs: () => runningNs, note: () => {} },
    nowNs: () => 0n,
  };
}

/** A collection after some hours of running. */
async function collect(hours: number, policy: Partial<CollectPolicy> = {}): Promise<CollectReport> {
  runningNs += BigInt(hours) * HOUR_NS;
  return collectReleased({ ...POLICY, ...policy }, deps());
}

async function hold(texts: readonly string[], of = owner, shard = 1): Promise<SealedChunk[]> {
  const chunks = texts.map((text) => of.chunk(text));
  of.add(shard, chunks.map(formOf));
  await at.holder.takeEntries(of.ownerKeys, of.entries);
  await at.holder.receive(
    of.agent,
    (async function* () {
      for (const { id, keyId, packClass, bytes } of chunks) yield { id, keyId, packClass, sealed: bytes };
    })(),
  );
  return chunks;
}

async function release(chunks: readonly SealedChunk[], of = owner, shard = 1): Promise<void> {
  of.release(
    shard,
    chunks.map(({ id }) => id),
  );
  await at.holder.takeEntries(of.ownerKeys, of.entries);
}

const left = async (chunks: readonly SealedChunk[]): Promise<number> =>
  (await readable(at.store, chunks)).filter(Boolean).length;

describe('grace', () => {
  test('a released frame goes when running time and completed collections are both over, and no other frame goes', async () => {
    const gone = await hold(['a', 'b']);
    const kept = await hold(['c', 'd']);
    await release(gone);
    expect(await collect(0)).toEqual({ deleted: 0, bytesFreed: 0, braked: [] });
    // Enough collections, too little time.
    for (let i = 0; i < 4; i++) await collect(1);
    expect(await left(gone)).toBe(2);
    await collect(6);
    expect(await left(gone)).toBe(0);
    expect(await left(kept)).toBe(2);
    expect(at.store.chains.shards(owner.agent)).toMatchObject([{ held: 2, wanted: 0, lost: 0 }]);
  });

  test('enough time, but too few collections', async () => {
    const gone = await hold(['a']);
    await release(gone);
    await collect(0);
    await collect(100);
    expect(await left(gone)).toBe(1);
    expect((await collect(0)).deleted).toBe(1);
  });

  test('time that nothing ran does not count, and what ran before a restart does', async () => {
    const gone = await hold(['a']);
    await release(gone);
    await collect(0);
    await collect(6);
    at.close();
    await open();
    await collect(0);
    expect(await left(gone)).toBe(1);
    await collect(5);
    expect(await left(gone)).toBe(0);
  });

  test('an add in between ends it: nothing is sent again, and a later release begins anew', async () => {
    const [chunk] = await hold(['a']);
    await release([chunk!]);
    await collect(0);
    await collect(9);
    owner.add(1, [formOf(chunk!)]);
    await at.holder.takeEntries(owner.ownerKeys, owner.entries);
    expect(await at.holder.wanted(owner.agent, { shard: 1, afterSeq: 0, entriesMax: 4 })).toEqual([]);
    await collect(5);
    await collect(5);
    expect(await left([chunk!])).toBe(1);
    await release([chunk!]);
    await collect(0);
    await collect(9);
    expect(await left([chunk!])).toBe(1);
    await collect(1);
    expect(await left([chunk!])).toBe(0);
  });

  test('released and added and released between two collections: the grace is of the last release', async () => {
    const [chunk] = await hold(['a']);
    await release([chunk!]);
    await collect(0);
    runningNs += 9n * HOUR_NS;
    owner.add(1, [formOf(chunk!)]);
    await release([chunk!]);
    await collect(0);
    await collect(2);
    await collect(2);
    expect(await left([chunk!])).toBe(1);
    await collect(6);
    expect(await left([chunk!])).toBe(0);
  });

  test('a rebuild of the index begins it again', async () => {
    const gone = await hold(['a']);
    await release(gone);
    await collect(0);
    await collect(9);
    at.close();
    rmSync(at.store.dataDir.indexFile);
    await open();
    await collect(0);
    await collect(5);
    await collect(4);
    expect(await left(gone)).toBe(1);
    await collect(1);
    expect(await left(gone)).toBe(0);
  });
});

describe('what stays', () => {
  test('a chunk that another shard, or another owner, holds', async () => {
    const [chunk] = await hold(['a']);
    await hold(['a'], owner, 2);
    await release([chunk!]);
    for (let i = 0; i < 4; i++) await collect(10);
    expect(await left([chunk!])).toBe(1);
    await release([chunk!], owner, 2);
    for (let i = 0; i < 4; i++) await collect(10);
    expect(await left([chunk!])).toBe(0);
  });

  test('a chunk that is held again when its grace is over: the deleting transaction looks', async () => {
    const [chunk] = await hold(['a']);
    await release([chunk!]);
    await collect(0);
    await collect(5);
    runningNs += 10n * HOUR_NS;
    // The entries come while the collection is under way: after it noted what was released, before it drops.
    const racing = deps();
    const drop = racing.chunks.drop.bind(racing.chunks);
    const report = await collectReleased(POLICY, {
      ...racing,
      chunks: {
        drop: async (ids, signal, keeps) => {
          owner.add(1, [formOf(chunk!)]);
          await at.holder.takeEntries(owner.ownerKeys, owner.entries);
          return drop(ids, signal, keeps);
        },
      },
    });
    expect(report.deleted).toBe(0);
    expect(await left([chunk!])).toBe(1);
    for (let i = 0; i < 3; i++) await collect(10);
    expect(await left([chunk!])).toBe(1);
  });

  test('a chunk that a branch holds, when the successor releases it', async () => {
    owner.takeover(cardOf(1));
    const [chunk] = await hold(['a']);
    const base = owner.position!;
    await hold(['b']);
    owner.incarnation = 2;
    owner.position = base;
    const entries = [owner.takeover(cardOf(2, base)), owner.release(1, [chunk!.id])];
    await at.holder.takeEntries(owner.ownerKeys, entries);
    expect(at.store.chains.branches(owner.agent)).toHaveLength(1);
    expect(at.store.chains.shards(owner.agent)).toMatchObject([{ held: 0 }]);
    for (let i = 0; i < 4; i++) await collect(10);
    expect(await left([chunk!])).toBe(1);
  });

  test('a chunk that was in grace where a branch was frozen, until the branch ends', async () => {
    owner.takeover(cardOf(1));
    const [chunk] = await hold(['a']);
    const base = owner.position!;
    await at.holder.takeEntries(owner.ownerKeys, [owner.release(1, [chunk!.id])]);
    await collect(1);
    owner.incarnation = 2;
    owner.position = base;
    await at.holder.takeEntries(owner.ownerKeys, [owner.takeover(cardOf(2, base)), owner.release(1, [chunk!.id])]);
    const [branch] = at.store.chains.branches(owner.agent);
    for (let i = 0; i < 4; i++) await collect(10);
    expect(await left([chunk!])).toBe(1);
    await at.holder.takeEntries(owner.ownerKeys, [owner.dropBranch(branch!.tip.link)]);
    for (let i = 0; i < 4; i++) await collect(10);
    expect(await left([chunk!])).toBe(0);
  });

  test('a chunk that a session claimed', async () => {
    const [chunk] = await hold(['a']);
    await release([chunk!]);
    await collect(0);
    const session = at.store.index.chunks.beginSession('capture');
    at.store.index.chunks.claim(session, [chunk!.id]);
    for (let i = 0; i < 3; i++) await collect(10);
    expect(await left([chunk!])).toBe(1);
    at.store.index.chunks.endSession(session);
    for (let i = 0; i < 4; i++) await collect(10);
    expect(await left([chunk!])).toBe(0);
  });
});

describe('the brake', () => {
  const small = { brakeBytesMin: 10 };

  test('a mass release stops the clock of its owner until the operator answers; entries behind it apply', async () => {
    const gone = await hold(['a', 'b', 'c', 'd']);
    await release(gone);
    expect((await collect(0, small)).braked).toEqual([owner.agent]);
    const later = await hold(['e']);
    for (let i = 0; i < 5; i++) await collect(100, small);
    expect(await left(gone)).toBe(4);
    expect(await left(later)).toBe(1);
    expect(at.store.chains.shards(owner.agent)).toMatchObject([{ held: 1, wanted: 0 }]);
    const { bytes } = at.store.index.released.totals(owner.agent);
    releaseBrake(owner.agent, bytes, at.store.index.kv, runningNs);
    // The clock stood still: the whole grace is still to come.
    expect((await collect(5, small)).braked).toEqual([]);
    await collect(4, small);
    expect(await left(gone)).toBe(4);
    await collect(1, small);
    await collect(0, small);
    expect(await left(gone)).toBe(0);
  });

  test('it is off again when what was released is held again', async () => {
    const gone = await hold(['a', 'b']);
    await release(gone);
    expect((await collect(0, small)).braked).toEqual([owner.agent]);
    owner.add(1, gone.map(formOf));
    await at.holder.takeEntries(owner.ownerKeys, owner.entries);
    expect((await collect(1, small)).braked).toEqual([]);
  });

  test('less than the least amount, or than the share, never brakes', async () => {
    const all = await hold(['a', 'b', 'c', 'd']);
    await release(all.slice(0, 1));
    expect((await collect(0, { brakeBytesMin: 10, brakeShare: 0.9 })).braked).toEqual([]);
    await release(all.slice(1));
    expect((await collect(0)).braked).toEqual([]);
  });
});
