/**
 * Giving up what no store has: snapshots that are recorded while others are walked, sessions that rely on one, and what
 * comes back in between.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openTreeReader, type TreeReader } from '../browse/tree-reader.ts';
import { createOpener } from '../codec/open.ts';
import { loadSodium } from '../codec/sodium.ts';
import type { ChunkId } from '../core/ids.ts';
import { type CaptureFixture, openCaptureFixture } from '../testing/capture-fixture.ts';
import { FIXTURE_SELF, fixtureKeys, temporaryFolder } from '../testing/store-fixture.ts';
import { type GivenUp, giveUp } from './give-up.ts';

const sodium = await loadSodium();
let folder: ReturnType<typeof temporaryFolder>;
let fixture: CaptureFixture;
let reader: TreeReader;
let first: string;
/** Chunks of the file `lost`, whose pack is gone. */
let lost: ChunkId[];

const path = (name: string): string => join(folder.path, 'root', name);
const root = { root: { name: 'root', path: new Uint8Array(0) } };
const capture = async (): Promise<string> =>
  (await fixture.capture({ root: { ...root.root, path: new Uint8Array(Buffer.from(join(folder.path, 'root'))) } }))
    .snapshot!;

beforeEach(async () => {
  folder = temporaryFolder();
  mkdirSync(join(folder.path, 'root'));
  fixture = await openCaptureFixture(join(folder.path, 'data'), { workers: 1 });
  writeFileSync(path('stays'), 'stays');
  await capture();
  writeFileSync(path('lost'), 'lost');
  first = await capture();
  const { content } = (await fixture.entries(first)).get('lost')!;
  lost = content?.form === 'inline' ? content.refs.map(({ id }) => id) : [];
  const { chunks } = fixture.store.index;
  for (const { pack } of chunks.locate(lost).flat()) chunks.markPacks([{ name: pack, reason: 'absent', why: 'gone' }]);
  reader = openTreeReader({
    sources: [fixture.store.chunks],
    opener: createOpener(sodium, fixtureKeys()),
    warn: () => {},
  });
});
afterEach(async () => {
  await fixture.close();
  folder.remove();
});

const give = (announce: () => void = () => {}): Promise<GivenUp> => {
  const { index, chain, chains } = fixture.store;
  return giveUp(
    { gone: lost, announce },
    {
      identity: { agentId: FIXTURE_SELF },
      log: index.log,
      chunks: index.chunks,
      isHeld: (id) => chains.holdsOf(FIXTURE_SELF, [id])[0]!.length > 0,
      chain,
      reader,
    },
  );
};
const damaged = (): string[] =>
  fixture.store.index.log
    .summaries()
    .filter((one) => one.damaged)
    .map(({ id }) => id);
const isHeld = (): boolean => fixture.store.chains.holdsOf(FIXTURE_SELF, lost)[0]!.length > 0;

test('the snapshot is damaged, the chunk is held no more, and nothing waits for its copy', async () => {
  const done = await give();
  expect(done.snapshots.map(({ id }) => id)).toEqual([first]);
  expect([damaged(), isHeld()]).toEqual([[first], false]);
  expect(fixture.store.index.chunks.losses()).toEqual([]);
});

test('a snapshot that is recorded while others are walked is walked too, before anything is appended', async () => {
  const { chain } = fixture.store;
  // Another machine's clock is of no matter: the record is made by hand, as a capture that took the row would.
  const body = fixture.snapshot(first);
  let appending: ReturnType<typeof chain.append> | undefined;
  let walks = 0;
  const done = await give(() => {
    walks++;
    appending ??= chain.append(body, chain.shardOf('root'));
  });
  const newer = (await appending!).link;
  expect(walks).toBe(2);
  expect(done.snapshots.map(({ id }) => id)).toEqual([first, newer]);
  expect(damaged()).toEqual([first, newer]);
});

test('nothing is given up while a session relies on a snapshot that reaches it; a capture that stores it again keeps it', async () => {
  const { chunks } = fixture.store.index;
  const session = chunks.beginSession('capture of root', [first]);
  expect(await give()).toMatchObject({ chunks: [] });
  expect([damaged(), isHeld()]).toEqual([[], true]);
  chunks.endSession(session);
  let stored: Promise<string> | undefined;
  const done = await give(() => {
    stored ??= capture();
  });
  await stored;
  // Whichever came first: a damaged mark only where the chunk was not here at that moment, and the new snapshot is
  // whole.
  const newest = await stored;
  expect(damaged()).not.toContain(newest);
  expect(damaged()).toEqual(done.chunks.length === 0 ? [] : [first]);
  expect(isHeld()).toBe(true);
  expect(chunks.locate(lost)[0]).toHaveLength(1);
  expect(await give()).toMatchObject({ chunks: [] });
});
