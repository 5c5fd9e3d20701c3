/** Hold checkpoints at their owner and at a store that has the bodies (docs/chain.md 1.7, 2.12, 8.3, 9.1). */
import { existsSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  decodeHoldCheckpoint,
  encodeHoldCheckpoint,
  type HoldCheckpoint,
  partOfHolds,
  summaryOf,
} from '../../chain/checkpoint-parts.ts';
import { EntryKind } from '../../chain/entry-head.ts';
import { holdStateOf } from '../../chain/hold-state.ts';
import type { WholeEntry } from '../../chain/record-entry.ts';
import { loadSodium } from '../../codec/sodium.ts';
import { armFailpoints } from '../../core/failpoint.ts';
import { publicKeyOf } from '../../keys/ed25519.ts';
import { type ChainWriter, chainWriter, makeForm } from '../../testing/chain-writer.ts';
import {
  FIXTURE_SELF,
  FIXTURE_SIGN_SEED,
  FIXTURE_VAULT,
  type OpenedStore,
  openStore,
  type StoreOptions,
  temporaryFolder,
} from '../../testing/store-fixture.ts';
import { proveCheckpoints } from './prove-checkpoints.ts';

const sodium = await loadSodium();

let folder: ReturnType<typeof temporaryFolder>;
let store: OpenedStore;
let options: StoreOptions;

beforeEach(async () => {
  folder = temporaryFolder();
  options = {};
  store = await openStore(folder.path);
});
afterEach(() => {
  store.close();
  folder.remove();
});

const ALWAYS = { bytesMin: 0 };
const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);
const ids = (numbers: readonly number[]) => numbers.map((number) => makeForm(number).id);
const partsOf = (agent = FIXTURE_SELF): string[] => {
  const path = join(store.dataDir.chainsDir, agent, 'parts');
  return existsSync(path) ? readdirSync(path).sort() : [];
};
const asOfSeqs = (agent?: string): number[] => [
  ...new Set(partsOf(agent).map((name) => Number.parseInt(name.slice(9, 25), 16))),
];

async function reopen(): Promise<void> {
  store.close();
  store = await openStore(folder.path, options);
}

async function ownEntries(): Promise<WholeEntry[]> {
  const all: WholeEntry[] = [];
  for await (const { head, body } of store.chains.entries(FIXTURE_SELF)) all.push({ head, body: body! });
  return all;
}

/** What the parts must be, by the function that says what a chain holds. */
function expected(entries: readonly WholeEntry[], shard: number, asOfSeq: number): HoldCheckpoint {
  const state = holdStateOf(entries.filter(({ head }) => head.header.seq <= asOfSeq)).get(shard) ?? new Map();
  return { asOfSeq, parts: range(0, 256).map((byte) => summaryOf(partOfHolds(state, byte))) };
}

async function requireTrue(seq: number, shard = 1): Promise<void> {
  const entries = await ownEntries();
  const { head, body } = entries[seq - 1]!;
  expect(head.header).toMatchObject({ kind: EntryKind.holdCheckpoint, shard });
  const checkpoint = decodeHoldCheckpoint(body, seq);
  expect(checkpoint).toEqual(expected(entries, shard, checkpoint.asOfSeq));
  for (const [byte, { rows }] of checkpoint.parts.entries()) {
    const name = partsOf().find((one) => one.endsWith(`-${byte.toString(16).padStart(2, '0')}.part`));
    expect(name === undefined, `part ${byte}`).toBe(rows === 0);
    if (name === undefined) continue;
    const part = readFileSync(join(store.dataDir.chainsDir, FIXTURE_SELF, 'parts', name));
    expect(summaryOf(part)).toEqual(checkpoint.parts[byte]);
  }
}

describe('an owner', () => {
  test('makes parts from the bodies, then from the last parts and the bodies since, and keeps those of the newest', async () => {
    await store.chain.add(
      1,
      range(0, 300).map((n) => makeForm(n)),
    );
    await store.chain.add(2, [makeForm(7)]);
    await store.chain.sync();
    expect(await store.chain.makeCheckpoints(ALWAYS)).toMatchObject([
      { shard: 1, asOfSeq: 2, seq: 3 },
      { shard: 2, asOfSeq: 3, seq: 4 },
    ]);
    await requireTrue(3);
    // Released and added again, a further form, and an id that is new.
    await store.chain.release(1, ids([3, 4, 5]), 100);
    await store.chain.add(1, [makeForm(3, 2), makeForm(9, 2), makeForm(400)], { listsFurther: true });
    await store.chain.sync();
    const [made] = await store.chain.makeCheckpoints({ shards: [1] });
    expect(made).toMatchObject({ shard: 1, asOfSeq: 6, seq: 7 });
    expect(asOfSeqs()).toEqual([6, 3]);
    rmSync(
      join(store.dataDir.chainsDir, FIXTURE_SELF, 'parts', partsOf().find((name) => name.startsWith('00000002'))!),
    );
    await requireTrue(7);
  });

  test('makes none before bodies since the last one exceed its parts and the threshold', async () => {
    await store.chain.add(
      1,
      range(0, 100).map((n) => makeForm(n)),
    );
    await store.chain.sync();
    expect(await store.chain.makeCheckpoints()).toEqual([]);
    expect(await store.chain.makeCheckpoints({ bytesMin: 8000 })).toEqual([]);
    expect(await store.chain.makeCheckpoints({ bytesMin: 7999 })).toHaveLength(1);
    await store.chain.add(
      1,
      range(100, 200).map((n) => makeForm(n)),
    );
    await store.chain.sync();
    expect(await store.chain.makeCheckpoints(ALWAYS)).toEqual([]);
    await store.chain.add(1, [makeForm(200)]);
    await store.chain.sync();
    expect(await store.chain.makeCheckpoints(ALWAYS)).toHaveLength(1);
  });

  test('what is captured while parts are made stands behind their as-of seq', async () => {
    await store.chain.add(
      1,
      range(0, 50).map((n) => makeForm(n)),
    );
    await store.chain.sync();
    let captured: Promise<void> | undefined;
    const disarm = armFailpoints((name) => {
      if (name !== 'parts.part-written' || captured !== undefined) return;
      captured = store.chain
        .add(1, [makeForm(70)])
        .then(() => store.chain.release(1, ids([2]), 100))
        .then(() => {});
    });
    const [made] = await store.chain.makeCheckpoints(ALWAYS);
    disarm();
    await captured;
    expect(made).toMatchObject({ asOfSeq: 1, difference: undefined });
    await requireTrue(made!.seq!);
  });

  test('parts that are gone, cut short or changed are made again from the bodies', async () => {
    await store.chain.add(
      1,
      range(0, 300).map((n) => makeForm(n)),
    );
    await store.chain.sync();
    await store.chain.makeCheckpoints(ALWAYS);
    let next = 1000;
    for (const damage of [
      (path: string) => rmSync(path),
      (path: string) => truncateSync(path, 40),
      (path: string) => writeFileSync(path, readFileSync(path).fill(1, 3, 4)),
    ]) {
      damage(join(store.dataDir.chainsDir, FIXTURE_SELF, 'parts', partsOf()[10]!));
      await reopen();
      await store.chain.add(
        1,
        range(next, next + 700).map((n) => makeForm(n)),
      );
      await store.chain.sync();
      next += 700;
      const [made] = await store.chain.makeCheckpoints({ shards: [1] });
      await requireTrue(made!.seq!);
    }
  });

  test('files and index that differ: no checkpoint, and it is noted until one is made', async () => {
    await store.chain.add(
      1,
      range(0, 50).map((n) => makeForm(n)),
    );
    await store.chain.sync();
    const [row] = store.index.chainTable.rows();
    store.index.holds.applyRelease(row!.chain, 1, ids([8]));
    const end = store.chain.position();
    const [made] = await store.chain.makeCheckpoints(ALWAYS);
    expect(made).toMatchObject({ seq: undefined, difference: expect.stringContaining('held by the files') });
    expect(store.chain.position()).toEqual(end);
    expect(store.index.checked.all()).toMatchObject([{ shard: 1, verdict: 'unmade' }]);
    store.index.holds.applyAdd(row!.chain, 1, 1, [makeForm(8)], 'wanted');
    // The row names another place than before, which is the scrub's to find.
    expect(await store.chain.makeCheckpoints(ALWAYS)).toMatchObject([{ seq: 2 }]);
    expect(store.index.checked.all()).toMatchObject([{ shard: 1, verdict: 'proved', seq: 2 }]);
  });

  test('one that a holder calls false is followed by another one, made from the first body on, once', async () => {
    await store.chain.add(
      1,
      range(0, 20).map((n) => makeForm(n)),
    );
    await store.chain.sync();
    await store.chain.makeCheckpoints(ALWAYS);
    const { chain } = store.index.chainTable.rows()[0]!;
    const refuse = (seq: number): void =>
      store.index.checked.set({ chain, shard: 1, seq, verdict: 'false', message: 'dc-a made others', notedNs: 1n });
    refuse(2);
    expect(await store.chain.makeCheckpoints()).toMatchObject([{ shard: 1, asOfSeq: 2, seq: 3 }]);
    await requireTrue(3);
    expect(await store.chain.makeCheckpoints()).toEqual([]);
    refuse(3);
    expect(await store.chain.makeCheckpoints()).toEqual([]);
  });

  test('after a takeover each shard gets one, and nothing is released before', async () => {
    await store.chain.add(1, [makeForm(1), makeForm(2)]);
    await store.chain.sync();
    store.close();
    const incarnation = { incarnation: 2, signSeed: new Uint8Array(32).fill(7) };
    options = { ...incarnation, signPublicKey: () => publicKeyOf(sodium, FIXTURE_SIGN_SEED) };
    store = await openStore(folder.path, options);
    await store.chain.appendClear(EntryKind.takeover, Buffer.from('a card'));
    await expect(store.chain.release(1, ids([1]), 100)).rejects.toMatchObject({ code: 'E_BUSY' });
    expect(await store.chain.makeCheckpoints()).toMatchObject([{ shard: 1, asOfSeq: 2, seq: 3 }]);
    expect(await store.chain.makeCheckpoints()).toEqual([]);
    expect(await store.chain.release(1, ids([1]), 100)).toBe(1);
  });
});

describe('a store that has the bodies', () => {
  let owner: ChainWriter;
  const take = async (entries = owner.entries): Promise<void> => {
    await store.chains.take({ agent: owner.agent, incarnation: 1, signPublicKey: () => owner.signPublicKey }, entries);
  };
  const prove = () => proveCheckpoints(store.chains.followed(owner.agent));
  const checkpoint = (asOfSeq: number, of = owner.entries): WholeEntry =>
    owner.clear(EntryKind.holdCheckpoint, encodeHoldCheckpoint(expected(of, 1, asOfSeq)), 1);

  beforeEach(async () => {
    owner = chainWriter('an owner', { vault: FIXTURE_VAULT });
    options = { signPublicKey: () => owner.signPublicKey };
    await reopen();
    owner.add(
      1,
      range(0, 200).map((n) => makeForm(n)),
    );
  });

  test('makes the parts of a checkpoint and finds them equal, once', async () => {
    owner.release(1, ids([4, 5]));
    checkpoint(2);
    await take();
    expect(await prove()).toEqual([{ shard: 1, seq: 3, verdict: 'proved' }]);
    expect(await prove()).toEqual([]);
    expect(asOfSeqs(owner.agent)).toEqual([2]);
    owner.add(1, [makeForm(5), makeForm(900)]);
    checkpoint(4);
    await take();
    expect(await prove()).toEqual([{ shard: 1, seq: 5, verdict: 'proved' }]);
    expect(asOfSeqs(owner.agent)).toEqual([4]);
  });

  test('calls a checkpoint false that lacks an id, and keeps what it holds; a true one ends the finding', async () => {
    // Signed by the owner, whose index and parts lost an id.
    const lacking = chainWriter('an owner', { vault: FIXTURE_VAULT });
    lacking.add(
      1,
      range(0, 199).map((n) => makeForm(n)),
    );
    checkpoint(1, lacking.entries);
    await take();
    expect(await prove()).toEqual([{ shard: 1, seq: 2, verdict: 'false' }]);
    expect(store.index.checked.all()).toMatchObject([
      { verdict: 'false', message: expect.stringContaining('1 parts') },
    ]);
    expect([...store.chains.isHeld(owner.agent, 1, ids([199]))]).toEqual([1]);
    expect(partsOf(owner.agent)).toEqual([]);
    checkpoint(1);
    await take();
    expect(await prove()).toEqual([{ shard: 1, seq: 3, verdict: 'proved' }]);
  });

  test('makes them from the first body on when its own earlier parts were wrong', async () => {
    checkpoint(1);
    await take();
    await prove();
    // A part that fits its checkpoint is believed, so the checkpoint itself has to be a wrong one that was proved: an
    // earlier fault of this store.
    const lacking = chainWriter('an owner', { vault: FIXTURE_VAULT });
    lacking.add(
      1,
      range(0, 199).map((n) => makeForm(n)),
    );
    const wrong = expected(lacking.entries, 1, 1);
    owner.clear(EntryKind.holdCheckpoint, encodeHoldCheckpoint(wrong), 1);
    const state = holdStateOf(lacking.entries).get(1)!;
    const parts = join(store.dataDir.chainsDir, owner.agent, 'parts');
    for (const name of partsOf(owner.agent))
      writeFileSync(join(parts, name), partOfHolds(state, Number.parseInt(name.slice(26, 28), 16)));
    owner.add(1, [makeForm(300)]);
    checkpoint(4);
    await take();
    expect(await prove()).toEqual([{ shard: 1, seq: 5, verdict: 'proved' }]);
  });

  test('waits for the bodies, and looks again after a rebuild', async () => {
    checkpoint(1);
    const [add, made] = owner.entries as [WholeEntry, WholeEntry];
    await store.chains.take({ agent: owner.agent, incarnation: 1, signPublicKey: () => owner.signPublicKey }, [
      { head: add.head, body: undefined },
      made,
    ]);
    expect(await prove()).toEqual([]);
    await store.chains.takeBodies(owner.agent, [{ seq: 1, body: add.body }]);
    expect(await prove()).toMatchObject([{ verdict: 'proved' }]);
    store.close();
    for (const suffix of ['', '-wal', '-shm']) rmSync(`${store.dataDir.indexFile}${suffix}`, { force: true });
    store = await openStore(folder.path, options);
    expect(store.reconciled.problems).toEqual([]);
    expect(await prove()).toMatchObject([{ verdict: 'proved' }]);
  });
});
