import { readdirSync, readFileSync, renameSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Position } from '../chain/position.ts';
import { loadSodium } from '../codec/sodium.ts';
import { EdgeError } from '../core/errors.ts';
import type { ChainEntry } from '../ports/chains.ts';
import { makeForm } from '../testing/chain-writer.ts';
import { FIXTURE_SELF, type OpenedStore, openStore, temporaryFolder } from '../testing/store-fixture.ts';
import { createTreeFixture } from '../testing/tree-fixture.ts';
import type { ChainSource } from './chain-repair-types.ts';
import { mendTail } from './mend-tail.ts';

const sodium = await loadSodium();
const fixture = await createTreeFixture('mend tail');
const SHARD = 3;
let folder: ReturnType<typeof temporaryFolder>;
let store: OpenedStore;
let all: ChainEntry[];
/** Behind the fourth of six captures: each is an add and a snapshot. */
let kept: number;

const open = () => openStore(folder.path, { fileBytes: 1500 });
const files = () =>
  readdirSync(join(store.dataDir.chainsDir, FIXTURE_SELF))
    .filter((name) => name.endsWith('.chain'))
    .sort()
    .map((name) => join(store.dataDir.chainsDir, FIXTURE_SELF, name));

async function entries(): Promise<ChainEntry[]> {
  const out: ChainEntry[] = [];
  for await (const entry of store.chains.entries(FIXTURE_SELF)) out.push(entry);
  return out;
}

async function capture(i: number): Promise<Position> {
  await store.chain.add(SHARD, [makeForm(i)]);
  return await store.chain.append({ ...fixture.body(fixture.dir('', [])), timeNs: BigInt(i) }, SHARD);
}

beforeEach(async () => {
  folder = temporaryFolder();
  store = await open();
  for (let i = 1; i <= 5; i++) await capture(i);
  all = await entries();
});
afterEach(() => {
  store.close();
  folder.remove();
});

/** The newest file loses its last bytes, within its last entry. */
async function truncated(bytes = 10): Promise<void> {
  store.close();
  const last = files().at(-1)!;
  truncateSync(last, statSync(last).size - bytes);
  store = await open();
  kept = store.chain.missingTail?.have?.seq ?? 0;
}

function source(given: readonly ChainEntry[], label = 'peer'): ChainSource {
  return {
    label,
    async *entries(_, { afterSeq, untilSeq }) {
      for (const entry of given) if (entry.head.header.seq > afterSeq && entry.head.header.seq <= untilSeq) yield entry;
    },
  };
}

const down: ChainSource = {
  label: 'down',
  entries() {
    throw new EdgeError('E_STORE', 'no route');
  },
};

const mend = (...sources: readonly ChainSource[]) =>
  mendTail({
    dataDir: store.dataDir,
    sodium,
    chains: store.chains,
    chain: store.chain,
    identity: { agentId: FIXTURE_SELF, incarnation: 1 },
    index: store.index,
    sources,
    signPublicKey: () => store.chains.followed(FIXTURE_SELF).deps.signPublicKey(FIXTURE_SELF, 1),
    warn: () => {},
  });

async function appends(seq: number): Promise<void> {
  expect((await store.chain.append({ type: 'unpin', snapshot: 'ab'.repeat(32) })).seq).toBe(seq);
}

async function stopsAt(reason: RegExp, ...sources: readonly ChainSource[]): Promise<void> {
  const before = files().map((file) => readFileSync(file));
  await expect(mend(...sources)).rejects.toMatchObject({
    code: 'E_ROLLBACK',
    message: expect.stringMatching(reason),
    hint: expect.stringMatching(/^Nothing was changed\..*scrub --repair/),
  });
  expect(files().map((file) => readFileSync(file))).toEqual(before);
  expect(store.index.log.summaries()).toHaveLength(5);
  await expect(store.chain.append({ type: 'unpin', snapshot: 'ab'.repeat(32) })).rejects.toMatchObject({ exitCode: 9 });
}

it('nothing is done where nothing is missing', async () => {
  expect(await mend(down)).toBeUndefined();
});

it('a missing end is fetched from the store that has it, also where another one cannot be asked', async () => {
  const whole = files().map((file) => readFileSync(file));
  await truncated();
  expect(await mend(down, source(all))).toMatchObject({ untilSeq: 10, endSeq: 10, from: ['peer'], lost: [] });
  expect(files().map((file) => readFileSync(file))).toEqual(whole);
  expect(readdirSync(join(store.dataDir.chainsDir, FIXTURE_SELF)).join()).toContain('.damaged-1');
  await appends(11);
});

it('what no store has is given up when each one answered, without stores too: the lost snapshot is named', async () => {
  await truncated();
  expect(await mend()).toMatchObject({ endSeq: kept, from: [], lost: [{ timeNs: 5n }] });
  expect(store.index.log.summaries().map(({ timeNs }) => timeNs)).toEqual([1n, 2n, 3n, 4n]);
  await appends(kept + 1);
  store.close();
  store = await open();
  expect(store.chain.blocked).toBeUndefined();
  expect((await entries()).length).toBe(kept + 1);
});

it('an entry that a store has is kept, and its number is not used again, when what follows it is given up', async () => {
  // Two captures lie in the newest files: the store was sent the add of the last one alone.
  store.close();
  const last = files().at(-1)!;
  truncateSync(last, 20);
  store = await open();
  const have = store.chain.missingTail!.have!.seq;
  const mended = await mend(source(all.slice(0, have + 1)));
  expect(mended).toMatchObject({ endSeq: have + 1, from: ['peer'] });
  expect((await entries()).at(-1)?.head.link).toBe(all[have]?.head.link);
  await appends(have + 2);
});

it('nothing is given up while a store could not be asked', async () => {
  await truncated();
  await stopsAt(/down could not be asked/, down, source(all.slice(0, kept)));
});

it('nothing is given up where a store has another entry of ours in that place, or one behind a hole', async () => {
  // The twin of this machine went on from the same entry.
  const twin = temporaryFolder();
  try {
    const other = await openStore(twin.path);
    const image = all.slice(0, 9);
    for (const entry of image) await other.chains.followed(FIXTURE_SELF).write([entry]);
    await other.chains.followed(FIXTURE_SELF).settle();
    await other.chain.append({ type: 'unpin', snapshot: 'cd'.repeat(32) });
    const theirs: ChainEntry[] = [];
    for await (const entry of other.chains.entries(FIXTURE_SELF)) theirs.push(entry);
    other.close();
    await truncated();
    expect(kept).toBe(9);
    await stopsAt(/peer has other entries .*put back or copied/, source(theirs));
  } finally {
    twin.remove();
  }
  store.close();
  truncateSync(files().at(-1)!, 20);
  store = await open();
  const have = store.chain.missingTail!.have!.seq;
  expect(have).toBeLessThan(9);
  await stopsAt(/a store has entry 10, and no store has entry/, source(all.slice(9)));
});

it('a file that is gone, one without any entry, and damage elsewhere are left to a person', async () => {
  store.close();
  const newest = files().at(-1)!;
  renameSync(newest, `${newest}.moved`);
  store = await open();
  await stopsAt(/a file of it is gone/, source(all));
  store.close();
  renameSync(`${newest}.moved`, newest);
  const bytes = readFileSync(files()[0]!);
  bytes[300]! ^= 1;
  writeFileSync(files()[0]!, bytes);
  await truncated();
  await stopsAt(/damaged elsewhere, too/, source(all));
  store.close();
  for (const file of files().slice(1)) rmSync(file);
  truncateSync(files()[0]!, 0);
  store = await open();
  await stopsAt(/its file has no entry any more/, source(all));
});

it('it is left to a person where a root would have no snapshot left', async () => {
  await store.chain.append({ ...fixture.body(fixture.dir('', [])), root: 'young', timeNs: 6n }, SHARD + 1);
  all = await entries();
  store.close();
  const last = files().at(-1)!;
  truncateSync(last, statSync(last).size - 10);
  store = await open();
  await expect(mend(source(all.slice(0, 10)))).rejects.toMatchObject({
    code: 'E_ROLLBACK',
    message: expect.stringContaining('no snapshot of young would be left'),
  });
  expect(await mend(source(all))).toMatchObject({ endSeq: 11, lost: [] });
});
