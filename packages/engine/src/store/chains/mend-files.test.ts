import { readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EntryKind } from '../../chain/entry-head.ts';
import type { ChainEntry } from '../../ports/chains.ts';
import { makeForm } from '../../testing/chain-writer.ts';
import { FIXTURE_SELF, type OpenedStore, openStore, temporaryFolder } from '../../testing/store-fixture.ts';
import { mendFiles } from './mend-files.ts';
import { verifyFiles } from './verify-files.ts';

const SHARD = 7;
let folder: ReturnType<typeof temporaryFolder>;
let store: OpenedStore;
/** What another store has of the chain. */
let copy: Map<number, ChainEntry>;

/** takeover, then 12 times an add and a record, in files of some entries each */
beforeEach(async () => {
  folder = temporaryFolder();
  store = await reopened();
  await store.chain.appendClear(EntryKind.takeover, Buffer.from('card'));
  for (let i = 1; i <= 12; i++) {
    await store.chain.add(SHARD, [makeForm(i), makeForm(100 + i)]);
    await store.chain.append({ type: 'pin', snapshot: 'ab'.repeat(32), reason: `pin ${i}` });
  }
  copy = new Map();
  for await (const entry of store.chains.entries(FIXTURE_SELF)) copy.set(entry.head.header.seq, entry);
});
afterEach(() => {
  store.close();
  folder.remove();
});

async function reopened(isRebuilt = false): Promise<OpenedStore> {
  const path = join(folder.path, 'data');
  if (isRebuilt) for (const name of readdirSync(path)) if (name.startsWith('index.sqlite')) rmSync(join(path, name));
  return await openStore(path, { fileBytes: 1500 });
}

const own = () => store.chains.followed(FIXTURE_SELF);
const entryOf = (seq: number) => copy.get(seq);
const filesOf = () => {
  const dir = join(folder.path, 'data', 'chains', FIXTURE_SELF);
  return readdirSync(dir)
    .filter((name) => name.endsWith('.chain'))
    .sort()
    .map((name) => join(dir, name));
};
const flip = (path: string, at: number): void => {
  const bytes = readFileSync(path);
  bytes[at]! ^= 1;
  writeFileSync(path, bytes);
};
async function isWhole(): Promise<void> {
  const seqs: number[] = [];
  for await (const { head, body } of store.chains.entries(FIXTURE_SELF)) {
    expect(head.link).toBe(copy.get(head.header.seq)?.head.link);
    expect(body).toBeDefined();
    seqs.push(head.header.seq);
  }
  expect(seqs).toEqual([...copy.keys()]);
  expect(store.chains.shards(FIXTURE_SELF)).toMatchObject([{ shard: SHARD, held: 24, applied: 25 }]);
  expect(store.chains.problems()).toEqual([]);
  const next = await store.chain.append({ type: 'unpin', snapshot: 'ab'.repeat(32) });
  expect(next.seq).toBe(26);
}

describe.each([
  ['with its index', false],
  ['whose index was built again', true],
])('a chain %s', (_, isRebuilt) => {
  it.each([
    ['a header', 30],
    ['a body', 300],
    ['a length', 1],
  ])('with damage in %s is told where, goes on, and is mended from a copy', async (_what, at) => {
    store.close();
    const path = filesOf()[2]!;
    flip(path, at);
    store = await reopened(isRebuilt);
    const damaged = await verifyFiles(own());
    expect(damaged).toMatchObject([{ firstSeq: expect.any(Number), message: expect.stringContaining(path) }]);
    expect(store.chains.problems().length).toBe(1);
    expect(await mendFiles(own(), damaged, () => undefined)).toEqual(damaged);
    expect(await mendFiles(own(), damaged, entryOf)).toEqual([]);
    await isWhole();
    store.close();
    store = await reopened(true);
    expect(store.chains.problems()).toEqual([]);
    expect(store.chains.position(FIXTURE_SELF)?.seq).toBe(26);
  });

  it('that lost a file in its middle, or its first one, gets it back', async () => {
    for (const number of [1, 0]) {
      store.close();
      rmSync(filesOf()[number]!);
      store = await reopened(isRebuilt);
      // A chain of which only the end is left is not read on its own.
      if (store.chains.position(FIXTURE_SELF)?.seq !== 25) return;
      expect(await mendFiles(own(), await verifyFiles(own()), entryOf)).toEqual([]);
    }
    await isWhole();
  });
});

it('does not take entries that another writer signed, or others than were here', async () => {
  store.close();
  flip(filesOf()[2]!, 30);
  store = await reopened();
  const damaged = await verifyFiles(own());
  const { firstSeq } = damaged[0]!;
  const other = await openStore(join(folder.path, 'other'), { fileBytes: 1500 });
  await other.chain.appendClear(EntryKind.takeover, Buffer.from('card'));
  for (let i = 0; i < 24; i++) await other.chain.append({ type: 'unpin', snapshot: 'cd'.repeat(32) });
  const forged = new Map<number, ChainEntry>();
  for await (const entry of other.chains.entries(FIXTURE_SELF)) forged.set(entry.head.header.seq, entry);
  other.close();
  const before = filesOf().map((path) => readFileSync(path));
  expect(await mendFiles(own(), damaged, (seq) => (seq === firstSeq ? forged.get(seq) : copy.get(seq)))).toEqual(
    damaged,
  );
  expect(filesOf().map((path) => readFileSync(path))).toEqual(before);
});

it('fills a tail that the file lost, up to what the index knows', async () => {
  store.close();
  const last = filesOf().at(-1)!;
  truncateSync(last, statSync(last).size - 20);
  store = await reopened();
  await expect(store.chain.append({ type: 'unpin', snapshot: 'ab'.repeat(32) })).rejects.toMatchObject({
    code: 'E_ROLLBACK',
  });
  expect(await mendFiles(own(), await verifyFiles(own()), entryOf)).toEqual([]);
  await isWhole();
});
