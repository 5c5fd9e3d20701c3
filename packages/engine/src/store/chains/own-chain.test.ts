import { readdirSync, readFileSync, rmSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EntryKind } from '../../chain/entry-head.ts';
import { armFailpoints } from '../../core/failpoint.ts';
import type { ChainEntry } from '../../ports/chains.ts';
import { chainWriter, makeForm } from '../../testing/chain-writer.ts';
import {
  FIXTURE_SELF,
  FIXTURE_VAULT,
  type OpenedStore,
  openStore,
  temporaryFolder,
} from '../../testing/store-fixture.ts';

let folder: ReturnType<typeof temporaryFolder>;
let store: OpenedStore;

beforeEach(async () => {
  folder = temporaryFolder();
  store = await openStore(folder.path);
});

afterEach(() => {
  store.close();
  folder.remove();
});

const RECORD = { type: 'unpin', snapshot: 'aa'.repeat(32) } as const;
const chainFile = (agent = FIXTURE_SELF): string => {
  const dir = join(store.dataDir.chainsDir, agent);
  return join(dir, readdirSync(dir).find((name) => name.endsWith('.chain'))!);
};
const isHeld = (...ids: number[]): number[] => [
  ...store.chains.isHeld(
    FIXTURE_SELF,
    1,
    ids.map((id) => makeForm(id).id),
  ),
];

async function reopen(): Promise<void> {
  store.close();
  store = await openStore(folder.path);
}

/** Throws once at a failpoint, after `before` was done to the files. */
function failOnce(at: string, before: () => void = () => {}): () => void {
  let isDone = false;
  return armFailpoints((name) => {
    if (name !== at || isDone) return;
    isDone = true;
    before();
    throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });
  });
}

const entryOf = (all: readonly ChainEntry[]) => (seq: number) => all.find(({ head }) => head.header.seq === seq);

async function entries(): Promise<ChainEntry[]> {
  const all: ChainEntry[] = [];
  for await (const entry of store.chains.entries(FIXTURE_SELF)) all.push(entry);
  return all;
}

test('after a failed append the file is read again and replaced as a whole, and what was being added is held all the same', async () => {
  await store.chain.append(RECORD);
  const { ino, size } = statSync(chainFile());
  await store.chain.add(1, [makeForm(1), makeForm(2)]);
  // The disk kept a part of the first item only.
  const disarm = failOnce('chain.written', () => truncateSync(chainFile(), size + 50));
  await expect(store.chain.append(RECORD)).rejects.toMatchObject({ code: 'E_IO' });
  expect(store.chain.position()?.seq).toBe(1);
  expect(isHeld(1, 2)).toEqual([0, 0]);
  await store.chain.append(RECORD);
  disarm();
  expect(statSync(chainFile()).ino).not.toBe(ino);
  expect(isHeld(1, 2)).toEqual([1, 1]);
  expect((await entries()).map(({ head }) => head.header.kind)).toEqual([1, 2, 1]);
  await reopen();
  expect(store.reconciled.problems).toEqual([]);
  expect(isHeld(1, 2)).toEqual([1, 1]);
});

test('an entry that is whole after a failed fsync stays, because others may know it', async () => {
  await store.chain.add(1, [makeForm(1)]);
  const disarm = failOnce('chain.synced');
  await expect(store.chain.append(RECORD)).rejects.toMatchObject({ code: 'E_IO' });
  disarm();
  expect(store.chain.position()).toBeUndefined();
  const { seq } = await store.chain.append(RECORD);
  expect(seq).toBe(3);
  expect(isHeld(1)).toEqual([1]);
});

test('an entry that is durable but not in the index is applied before anything else, in the same process and by a start', async () => {
  for (const isRestarted of [false, true]) {
    const before = store.chain.position()?.seq ?? 0;
    const disarm = failOnce('chain.durable');
    await expect(store.chain.append({ type: 'pin', snapshot: 'bb'.repeat(32), reason: 'x' })).rejects.toThrow('EIO');
    disarm();
    expect(store.chain.position()?.seq ?? 0).toBe(before);
    if (isRestarted) await reopen();
    const { seq } = await store.chain.append(RECORD);
    expect(seq).toBe(before + 2);
  }
});

test('an own chain that ends before the index is a loss: nothing is appended until the tail is there or nobody has it', async () => {
  await store.chain.add(1, [makeForm(1)]);
  const kept = await store.chain.append(RECORD);
  const { size } = statSync(chainFile());
  await store.chain.add(1, [makeForm(2)]);
  const last = await store.chain.append(RECORD);
  const all = await entries();
  const whole = readFileSync(chainFile());
  const epoch = store.identityOfStore.epoch();
  for (const isFilled of [true, false]) {
    truncateSync(chainFile(), size);
    await reopen();
    expect(store.identityOfStore.epoch()).toBeGreaterThan(epoch);
    expect(store.chain.missingTail).toEqual({ have: expect.objectContaining({ seq: kept.seq }), until: last });
    expect(store.chains.problems()).toMatchObject([
      { agent: FIXTURE_SELF, message: expect.stringContaining('was acknowledged') },
    ]);
    await expect(store.chain.append(RECORD)).rejects.toMatchObject({ code: 'E_ROLLBACK' });
    await expect(store.chain.add(1, [makeForm(3)])).rejects.toMatchObject({ code: 'E_ROLLBACK' });
    if (isFilled) {
      await expect(store.chain.fillTail(entryOf(all.slice(2, 3)))).rejects.toMatchObject({ code: 'E_INTEGRITY' });
      await store.chain.fillTail(entryOf(all));
      expect(readFileSync(chainFile()).equals(whole)).toBe(true);
      expect(store.chain.position()).toEqual(last);
      expect(isHeld(1, 2)).toEqual([1, 1]);
    } else {
      await store.chain.giveUpTail(() => undefined);
      expect(store.chain.position()).toEqual(kept);
      expect(isHeld(1, 2)).toEqual([1, 0]);
    }
    expect(store.chain.missingTail).toBeUndefined();
    expect(store.chains.problems()).toEqual([]);
  }
  expect((await store.chain.append(RECORD)).seq).toBe(kept.seq + 1);
});

test('a chain of another owner that ends before the index goes back to its file, under a new epoch', async () => {
  const owner = chainWriter('owner', { vault: FIXTURE_VAULT });
  const keys = { agent: owner.agent, incarnation: 1, signPublicKey: () => owner.signPublicKey };
  store.close();
  const open = (): Promise<OpenedStore> => openStore(folder.path, { signPublicKey: () => owner.signPublicKey });
  store = await open();
  await store.chains.take(keys, [owner.add(1, [makeForm(1)])]);
  const { size } = statSync(chainFile(owner.agent));
  await store.chains.take(keys, [owner.add(1, [makeForm(2)])]);
  const epoch = store.identityOfStore.epoch();
  truncateSync(chainFile(owner.agent), size);
  store.close();
  store = await open();
  expect(store.reconciled.problems).toHaveLength(1);
  expect(store.identityOfStore.epoch()).toBeGreaterThan(epoch);
  expect(store.chains.position(owner.agent)?.seq).toBe(1);
  expect(store.chains.shards(owner.agent)[0]).toMatchObject({ held: 1, applied: 1 });
  await store.chains.take(keys, owner.entries);
  expect(store.chains.shards(owner.agent)[0]).toMatchObject({ held: 2, applied: 2 });
});

test('an unfinished end is moved aside; a damaged end of the own chain stops appending and nothing else', async () => {
  await store.chain.append(RECORD);
  const { size } = statSync(chainFile());
  await store.chain.append(RECORD);
  truncateSync(chainFile(), size + 100);
  for (const part of ['', '-wal', '-shm']) rmSync(store.dataDir.indexFile + part, { force: true });
  await reopen();
  expect(store.reconciled.moved).toEqual([{ path: `${chainFile()}.torn-${size}`, bytes: 100 }]);
  expect((await store.chain.append(RECORD)).seq).toBe(2);
  const { appendFileSync } = await import('node:fs');
  appendFileSync(chainFile(), Buffer.alloc(300, 7));
  await reopen();
  expect(store.reconciled.problems).toMatchObject([{ code: 'E_INTEGRITY' }]);
  expect(await entries()).toHaveLength(2);
  await expect(store.chain.append(RECORD)).rejects.toMatchObject({ code: 'E_INTEGRITY' });
});

test('an add of an id that is being released stands behind the release', async () => {
  await store.chain.add(1, [makeForm(1)]);
  await store.chain.sync();
  const walked = store.chain.position()!.seq;
  let added: Promise<void> | undefined;
  const disarm = armFailpoints((name) => {
    if (name === 'release.marked') added ??= store.chain.add(1, [makeForm(1)]).then(() => store.chain.sync());
  });
  expect(await store.chain.release(1, [makeForm(1).id], walked)).toBe(1);
  disarm();
  await added;
  expect((await entries()).map(({ head }) => head.header.kind)).toEqual([
    EntryKind.add,
    EntryKind.release,
    EntryKind.add,
  ]);
  expect(isHeld(1)).toEqual([1]);
});
