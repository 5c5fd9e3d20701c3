/**
 * A store that is new or far behind, and takes the parts of a checkpoint in the place of bodies (docs/chain.md 8.1,
 * 8.2, 8.3).
 */
import { readdirSync, rmSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { encodeHoldCheckpoint, summaryOf } from '../../chain/checkpoint-parts.ts';
import { EntryKind } from '../../chain/entry-head.ts';
import { decodeAdd, encodeAdd } from '../../chain/forms.ts';
import type { WholeEntry } from '../../chain/record-entry.ts';
import { collectReleased, DEFAULT_COLLECT_POLICY } from '../../collect/collect-released.ts';
import { checkHolds } from '../../hold/check-holds.ts';
import { type ChainWriter, chainWriter, makeForm } from '../../testing/chain-writer.ts';
import {
  checkpointOwner,
  holdsAsOf,
  keysOf,
  numbers,
  partsOf,
  CHECKPOINT_SHARD as SHARD,
  writeCheckpoint,
} from '../../testing/checkpoint-workload.ts';
import {
  FIXTURE_VAULT,
  madeChunk,
  type OpenedStore,
  openStore,
  storeChunks,
  temporaryFolder,
} from '../../testing/store-fixture.ts';
import { proveCheckpoints } from './prove-checkpoints.ts';
import { remakeHolds } from './remake-holds.ts';

let folder: ReturnType<typeof temporaryFolder>;
let store: OpenedStore;
let owner: ChainWriter;

const open = () =>
  openStore(folder.path, {
    signPublicKey: () => owner.signPublicKey,
    openCard: (body) => ({
      agentId: owner.agent,
      signPublicKey: owner.signPublicKey,
      ...(JSON.parse(Buffer.from(body).toString()) as { incarnation: number; base: undefined }),
    }),
  });
beforeEach(async () => {
  folder = temporaryFolder();
  owner = checkpointOwner();
  store = await open();
});
afterEach(() => {
  store.close();
  folder.remove();
});

const idOf = (n: number) => makeForm(n).id;
const shard = () => store.chains.shards(owner.agent)[0]!;
const wanted = () => store.chains.parts.wanted(owner.agent, SHARD);
const headOnly = ({ head }: WholeEntry) => ({ head, body: undefined });
const isHold = ({ head }: WholeEntry): boolean => head.header.kind === 2 || head.header.kind === 3;

/** Headers of all, bodies of records and checkpoints, and of hold entries after a seq. */
async function take(bodiesAfter: number, entries = owner.entries): Promise<void> {
  await store.chains.take(
    keysOf(owner),
    entries.map((entry) => (isHold(entry) && entry.head.header.seq <= bodiesAfter ? headOnly(entry) : entry)),
  );
}

function partAt(asOfSeq: number, byte: number, entries = owner.entries): Uint8Array {
  return partsOf(holdsAsOf(entries, asOfSeq))[byte]!;
}

async function sendParts(entries = owner.entries): Promise<void> {
  const { seq, lacking } = await wanted();
  const asOfSeq = Number(Buffer.from(owner.entries[seq - 1]!.body).readBigUInt64LE(0));
  for (const byte of lacking)
    await store.chains.parts.take(owner.agent, SHARD, seq, byte, partAt(asOfSeq, byte, entries));
  await store.chains.parts.join(owner.agent, SHARD, seq);
}

async function reopen({ rebuilt = false } = {}): Promise<void> {
  store.close();
  if (rebuilt)
    for (const suffix of ['', '-wal', '-shm']) rmSync(`${store.dataDir.indexFile}${suffix}`, { force: true });
  store = await open();
}

/** The index has exactly what the chain says. */
async function requireHolds(entries = owner.entries): Promise<void> {
  const holds = holdsAsOf(entries, entries.length);
  expect(shard()).toMatchObject({ held: holds.size, applied: entries.length });
  const ids = [...holds.keys()].map((id) => new Uint8Array(Buffer.from(id, 'hex')));
  expect(store.chains.heldAs(owner.agent, SHARD, ids).map((one) => one?.seq)).toEqual(
    [...holds.values()].map(({ addedSeq }) => addedSeq),
  );
  expect(store.chains.heldForms(owner.agent, ids)).toEqual([...holds.values()].map(({ forms }) => forms));
  const chunks = store.index.chunks;
  for await (const checked of checkHolds(owner.agent, { chains: store.chains, chunks }))
    expect(checked).toMatchObject({ held: holds.size, wrong: 0, isMiscounted: false });
}

test('a new store goes on from parts and the bodies behind them, live, after a start and after a rebuild', async () => {
  await take(5);
  expect(shard()).toMatchObject({ held: 0, applied: 0 });
  const { seq, lacking } = await wanted();
  expect(seq).toBe(6);
  expect(lacking).toHaveLength(readableParts(5));
  for (const byte of lacking.slice(1)) {
    await store.chains.parts.take(owner.agent, SHARD, seq, byte, partAt(5, byte));
    expect(shard()).toMatchObject({ held: 0, applied: 0 });
  }
  await expect(store.chains.parts.join(owner.agent, SHARD, seq)).rejects.toMatchObject({ code: 'E_INTEGRITY' });
  expect(shard()).toMatchObject({ held: 0, applied: 0 });
  await reopen();
  expect(await wanted()).toMatchObject({ seq, lacking: [lacking[0]] });
  await store.chains.parts.take(owner.agent, SHARD, seq, lacking[0]!, partAt(5, lacking[0]!));
  await store.chains.parts.join(owner.agent, SHARD, seq);
  await store.chains.parts.join(owner.agent, SHARD, seq);
  await requireHolds();
  expect(store.chains.missingBodies(owner.agent, SHARD, 10)).toEqual([]);
  expect(await wanted()).toMatchObject({ seq: 0, judged: { seq: 6, verdict: 'taken' } });
  // What comes later changes rows that lie in parts.
  owner.release(SHARD, [idOf(3), idOf(40)]);
  owner.add(SHARD, [makeForm(5, 2), makeForm(3, 3)]);
  await take(5);
  await requireHolds();
  await reopen();
  await requireHolds();
  await reopen({ rebuilt: true });
  expect(store.reconciled.problems).toEqual([]);
  await requireHolds();
});

function readableParts(asOfSeq: number): number {
  return partsOf(holdsAsOf(owner.entries, asOfSeq)).filter((part) => part.length > 0).length;
}

test('a part with other bytes, another length or another place is refused, and nothing is kept of it', async () => {
  await take(5);
  const { seq, lacking } = await wanted();
  const byte = lacking[0]!;
  const part = partAt(5, byte);
  const changed = Uint8Array.from(part);
  changed[40]! ^= 1;
  const give = (at: number, bytes: Uint8Array, of = seq) => store.chains.parts.take(owner.agent, SHARD, of, at, bytes);
  await expect(give(byte, changed)).rejects.toMatchObject({ code: 'E_INTEGRITY' });
  await expect(give(byte, part.subarray(0, -80))).rejects.toMatchObject({ code: 'E_INTEGRITY' });
  await expect(give(lacking[1]!, part)).rejects.toMatchObject({ code: 'E_INTEGRITY' });
  await expect(give(byte, part, 1)).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
  expect(store.chains.parts.bytesOf(owner.agent, SHARD, seq, byte)).toBe(part.length);
  expect((await wanted()).lacking).toEqual(lacking);
});

test('a part that is gone after a rebuild is wanted again, and one that is damaged is met by a scrub and mended', async () => {
  await take(5);
  await sendParts();
  const parts = join(store.dataDir.chainsDir, owner.agent, 'parts');
  rmSync(join(parts, readdirSync(parts)[2]!));
  await reopen({ rebuilt: true });
  expect(shard()).toMatchObject({ held: 0, applied: 0 });
  expect((await wanted()).lacking).toHaveLength(1);
  await sendParts();
  await requireHolds();
  truncateSync(join(parts, readdirSync(parts)[3]!), 8);
  await reopen();
  const found = [];
  for await (const one of checkHolds(owner.agent, { chains: store.chains, chunks: store.index.chunks }))
    found.push(one);
  expect(found).toMatchObject([{ wrong: expect.any(Number), isMiscounted: true }]);
  await remakeHolds(store.chains.followed(owner.agent));
  expect(shard()).toMatchObject({ held: 0, applied: 0 });
  await sendParts();
  await requireHolds();
});

test('bodies are taken where they are less than the parts', async () => {
  owner = chainWriter('few', { vault: FIXTURE_VAULT });
  await reopen();
  owner.add(
    SHARD,
    numbers(0, 50).map((n) => makeForm(n)),
  );
  await take(0);
  owner.add(SHARD, [makeForm(60)]);
  writeCheckpoint(owner, 2);
  await take(2);
  expect(shard()).toMatchObject({ applied: 1 });
  expect(await wanted()).toMatchObject({ seq: 0 });
  expect(store.chains.missingBodies(owner.agent, SHARD, 10)).toEqual([2]);
});

/** A store that has frames of two chunks by bodies, and lacks the bodies up to a checkpoint that does not list them. */
async function farBehind({ writesCheckpoint = true } = {}): Promise<ReturnType<typeof madeChunk>[]> {
  owner = chainWriter('far', { vault: FIXTURE_VAULT });
  await reopen();
  const chunks = [madeChunk(), madeChunk(), madeChunk()];
  const forms = chunks.map(({ id, sha256, bytes }) => ({
    ...makeForm(0),
    id,
    sealedSha256: new Uint8Array(sha256),
    sealedBytes: bytes.length,
  }));
  owner.add(SHARD, forms);
  await take(0);
  await storeChunks(store, chunks);
  expect(shard()).toMatchObject({ held: 3, wanted: 0, whole: 1 });
  for (const from of [100, 200]) {
    owner.add(
      SHARD,
      numbers(from, from + 50).map((n) => makeForm(n)),
    );
    owner.release(
      SHARD,
      numbers(from, from + 49).map((n) => makeForm(n).id),
    );
  }
  owner.release(SHARD, [chunks[0]!.id, chunks[1]!.id]);
  if (writesCheckpoint) writeCheckpoint(owner, 6);
  await take(6);
  return chunks;
}

const isKept = (id: Uint8Array): boolean => store.index.holds.isHeldByOthers(id);
const collect = async () =>
  collectReleased(DEFAULT_COLLECT_POLICY, {
    self: 'cd'.repeat(16),
    chains: store.chains,
    index: store.index,
    chunks: store.chunks,
    isHeld: isKept,
    heldBytes: () => 1e12,
    running: { nowNs: () => 0n, note: () => {} },
    nowNs: () => 0n,
  });

test('what a taken checkpoint lacks is kept in dispute and is not held, until a checkpoint is proved or a release names it', async () => {
  const [released, twice, stays] = await farBehind();
  await sendParts();
  await requireHolds();
  for (const rebuilt of [false, true]) {
    await reopen({ rebuilt });
    await requireHolds();
    expect([...store.chains.isHeld(owner.agent, SHARD, [released!.id, twice!.id, stays!.id])]).toEqual([0, 0, 1]);
    expect([released!, twice!, stays!].map(({ id }) => isKept(id))).toEqual([true, true, true]);
    await collect();
    expect(store.index.released.totals(owner.agent).frames).toBe(0);
  }
  owner.release(SHARD, [twice!.id]);
  await take(6);
  expect([released!, twice!].map(({ id }) => isKept(id))).toEqual([true, false]);
  owner.add(SHARD, [makeForm(900)]);
  writeCheckpoint(owner, owner.entries.length);
  await take(6);
  expect(await proveCheckpoints(store.chains.followed(owner.agent))).toMatchObject([{ verdict: 'proved' }]);
  expect([released!, twice!, stays!].map(({ id }) => isKept(id))).toEqual([false, false, true]);
  await collect();
  expect(store.index.released.totals(owner.agent).frames).toBe(2);
});

test('a state that rests on a false checkpoint yields to a true one, and has deleted nothing', async () => {
  const chunks = await farBehind({ writesCheckpoint: false });
  // Signed by the owner, whose index and parts lost the third chunk.
  const [first, ...rest] = owner.entries as [WholeEntry, ...WholeEntry[]];
  const wrong = [{ head: first.head, body: encodeAdd(decodeAdd(first.body).slice(0, 2)) }, ...rest];
  writeCheckpoint(owner, 6, wrong);
  await take(6);
  const { seq } = await wanted();
  expect(seq).toBe(7);
  await sendParts(wrong);
  expect([...store.chains.isHeld(owner.agent, SHARD, [chunks[2]!.id])]).toEqual([0]);
  expect(isKept(chunks[2]!.id)).toBe(true);
  owner.add(SHARD, [makeForm(901)]);
  writeCheckpoint(owner, 8);
  await take(6);
  expect(await proveCheckpoints(store.chains.followed(owner.agent))).toMatchObject([{ seq: 9, verdict: 'false' }]);
  // Nothing proves what it states: it says so, and takes the later one.
  expect(shard()).toMatchObject({ applied: 0, whole: 0 });
  expect(await wanted()).toMatchObject({ seq: 9, judged: { seq: 9, verdict: 'false' } });
  await sendParts();
  await requireHolds();
  expect([...store.chains.isHeld(owner.agent, SHARD, [chunks[2]!.id])]).toEqual([1]);
  expect(shard()).toMatchObject({ wanted: 3 });
});

test('a takeover before the checkpoint: what came by parts stays held by the branch, also after a rebuild', async () => {
  await take(5);
  await sendParts();
  const held = [...holdsAsOf(owner.entries, owner.entries.length).keys()].map(
    (id) => new Uint8Array(Buffer.from(id, 'hex')),
  );
  const [add, record] = owner.entries as [WholeEntry, WholeEntry];
  const { incarnation, seq } = record.head.header;
  owner.position = { incarnation, seq, link: record.head.link };
  owner.incarnation = 2;
  const takeover = owner.takeover(Buffer.from(JSON.stringify({ incarnation: 2, base: owner.position })));
  const after = owner.add(SHARD, [makeForm(700)]);
  await store.chains.take({ ...keysOf(owner), incarnation: 2 }, [takeover, after]);
  for (const rebuilt of [false, false, true]) {
    if (rebuilt) await store.chains.takeBodies(owner.agent, [{ seq: 1, body: add.body }]);
    await reopen({ rebuilt });
    expect(store.reconciled.problems).toEqual([]);
    const [branch] = store.index.chainTable.rows().filter(({ parent }) => parent !== undefined);
    expect([...store.index.holds.isHeld(branch!.chain, SHARD, held)]).not.toContain(0);
    expect(held.every(isKept)).toBe(true);
    // The trail lacks the body of its first entry until the owner sends it.
    expect(shard()).toMatchObject(rebuilt ? { held: 13, applied: 4 } : { held: 0, applied: 0 });
  }
});

test('a checkpoint whose parts have no meaning is false, and bodies are wanted in their place', async () => {
  owner = chainWriter('no meaning', { vault: FIXTURE_VAULT });
  await reopen();
  owner.add(SHARD, [makeForm(1)]);
  const part = partsOf(holdsAsOf(owner.entries, 1)).find(({ length }) => length > 0)!;
  part[73] = 9;
  const parts = numbers(0, 256).map((byte) => (byte === part[0] ? summaryOf(part) : summaryOf(new Uint8Array())));
  owner.clear(EntryKind.holdCheckpoint, encodeHoldCheckpoint({ asOfSeq: 1, parts }), SHARD);
  await take(1);
  expect(await wanted()).toMatchObject({ seq: 2, lacking: [part[0]] });
  await expect(store.chains.parts.take(owner.agent, SHARD, 2, part[0]!, part)).rejects.toMatchObject({
    code: 'E_FORMAT',
  });
  expect(await wanted()).toMatchObject({ seq: 0, judged: { seq: 2, verdict: 'false' } });
  expect(store.chains.missingBodies(owner.agent, SHARD, 10)).toEqual([1]);
});
