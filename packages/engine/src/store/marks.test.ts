import fs from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Warning } from '../core/ports/progress.ts';
import type { MissReason } from '../core/ports/sealed-source.ts';
import {
  madeChunk,
  type OpenedStore,
  openStore,
  readable,
  storeChunks,
  temporaryFolder,
} from '../testing/store-fixture.ts';

let folder: ReturnType<typeof temporaryFolder>;
let store: OpenedStore;
let warnings: Warning[];
const options = { warn: (warning: Warning) => void warnings.push(warning) };

beforeEach(async () => {
  folder = temporaryFolder();
  warnings = [];
  store = await openStore(folder.path, options);
});
afterEach(() => {
  store.close();
  folder.remove();
});

async function reopen(indexGone = false): Promise<void> {
  store.close();
  if (indexGone) for (const part of ['', '-wal', '-shm']) fs.rmSync(store.dataDir.indexFile + part, { force: true });
  store = await openStore(folder.path, options);
}

const packPath = (): string => store.chunks.packPath(store.index.chunks.packs('')[0]!.name);
const reasons = (): string[] => store.index.chunks.losses().map(({ reason, chunks }) => `${chunks} ${reason}`);

/** Changes one bit of the byte at the place. */
function flip(path: string, placeIn: (bytes: Buffer) => number): void {
  const bytes = fs.readFileSync(path);
  const at = placeIn(bytes);
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  fs.chmodSync(path, 0o600);
  fs.writeFileSync(path, bytes);
}

async function offsetOf(id: Uint8Array): Promise<number> {
  return store.index.chunks.allCopies([id])[0]![0]!.offset;
}

describe('a good read lifts the mark', () => {
  for (const reason of ['damaged', 'unreadable', 'absent'] satisfies MissReason[]) {
    test(`of a copy that was ${reason}`, async () => {
      const chunk = madeChunk();
      await storeChunks(store, [chunk]);
      const pack = store.index.chunks.packs('')[0]!.name;
      store.index.chunks.markCopies([{ id: chunk.id, pack, reason, why: 'one error' }]);
      expect(store.index.chunks.locate([chunk.id])).toEqual([[]]);
      expect(reasons()).toEqual([`1 ${reason}`]);
      expect(await store.chunks.locate([chunk.id])).toMatchObject([{ marked: reason }]);
      expect(await readable(store, [chunk])).toEqual([true]);
      expect(store.index.chunks.locate([chunk.id])[0]).toHaveLength(1);
      expect(reasons()).toEqual([]);
      await reopen(true);
      expect(reasons()).toEqual([]);
    });
  }

  test('but bytes that are not those stored do not lift it', async () => {
    const chunk = madeChunk();
    await storeChunks(store, [chunk]);
    const at = await offsetOf(chunk.id);
    flip(packPath(), () => at + 10);
    const pack = store.index.chunks.packs('')[0]!.name;
    store.index.chunks.markCopies([{ id: chunk.id, pack, reason: 'unreadable', why: 'EIO' }]);
    expect(await readable(store, [chunk])).toEqual([false]);
    expect(reasons()).toEqual(['1 damaged']);
  });
});

describe('the index is gone', () => {
  test('marks and their times stay, and so does the time of the last verification', async () => {
    const chunks = [madeChunk(), madeChunk()];
    await storeChunks(store, chunks);
    const pack = store.index.chunks.packs('')[0]!.name;
    store.index.chunks.markBad(chunks[0]!.id, pack, 'other bytes');
    store.index.chunks.noteVerified([pack], 123_456_789n);
    const before = store.index.chunks.losses();
    await reopen(true);
    expect(store.reconciled.rebuilt).toBe(true);
    expect(store.index.chunks.losses()).toMatchObject(before.map(({ sinceNs, chunks }) => ({ sinceNs, chunks })));
    expect(store.index.chunks.locate(chunks.map(({ id }) => id)).map((copies) => copies.length)).toEqual([0, 1]);
    expect(store.index.chunks.packs('')).toMatchObject([{ verifiedNs: 123_456_789n }]);
  });

  test('a chunk that is stored again after that is whole', async () => {
    const chunk = madeChunk();
    await storeChunks(store, [chunk]);
    store.index.chunks.markBad(chunk.id, store.index.chunks.packs('')[0]!.name, 'other bytes');
    await reopen(true);
    await storeChunks(store, [chunk]);
    expect(reasons()).toEqual([]);
    await reopen(true);
    expect(reasons()).toEqual([]);
  });

  test('a pack that went before is still a loss, although nobody knows its chunks', async () => {
    await storeChunks(store, [madeChunk()]);
    fs.rmSync(packPath());
    await reopen();
    const { sinceNs } = store.index.chunks.losses()[0]!;
    await reopen(true);
    expect(store.index.chunks.losses()).toMatchObject([{ reason: 'absent', packs: 1, sinceNs }]);
    // Only a look at everything can tell that nothing is missing.
    store.index.chunks.settleLosses();
    expect(store.index.chunks.losses()).toHaveLength(1);
    store.index.chunks.settleLosses(true);
    expect(store.index.chunks.losses()).toEqual([]);
  });
});

describe('a pack goes', () => {
  test('and is a standing finding until its chunks are stored again', async () => {
    const chunks = [madeChunk(), madeChunk()];
    await storeChunks(store, chunks);
    const path = packPath();
    fs.rmSync(path);
    await reopen();
    expect(store.reconciled.packs.missing).toHaveLength(1);
    expect(store.index.chunks.losses()).toMatchObject([
      { store: '', reason: 'absent', chunks: 2, nowhere: 2, packs: 1 },
    ]);
    await reopen();
    expect(store.reconciled.packs.missing).toEqual([]);
    expect(reasons()).toEqual(['2 absent']);
    await storeChunks(store, [chunks[0]!]);
    expect(reasons()).toEqual(['1 absent']);
    await storeChunks(store, [chunks[1]!]);
    await reopen();
    expect(store.index.chunks.losses()).toEqual([]);
    expect(await readable(store, chunks)).toEqual([true, true]);
  });

  test('and is whole again when the file is back', async () => {
    const chunk = madeChunk();
    await storeChunks(store, [chunk]);
    const path = packPath();
    fs.renameSync(path, `${path}.away`);
    await reopen();
    expect(reasons()).toEqual(['1 absent']);
    fs.renameSync(`${path}.away`, path);
    await reopen();
    expect(reasons()).toEqual([]);
    expect(await readable(store, [chunk])).toEqual([true]);
  });

  test('while the store is open: it is met by the first read, and a finding from then on', async () => {
    const chunk = madeChunk();
    await storeChunks(store, [chunk]);
    fs.rmSync(packPath());
    expect(await readable(store, [chunk])).toEqual([false]);
    expect(reasons()).toEqual(['1 absent']);
  });

  test('with its whole folder: nothing is called absent', async () => {
    const chunk = madeChunk();
    await storeChunks(store, [chunk]);
    fs.renameSync(store.dataDir.packDir, `${store.dataDir.packDir}.away`);
    const [address] = await store.chunks.locate([chunk.id]);
    for await (const outcome of store.chunks.fetch([address!])) expect(outcome).toMatchObject({ reason: 'unreadable' });
    fs.renameSync(`${store.dataDir.packDir}.away`, store.dataDir.packDir);
    expect(await readable(store, [chunk])).toEqual([true]);
    expect(reasons()).toEqual([]);
  });
});

describe('a merge of small packs', () => {
  async function eightPacks() {
    const chunks = Array.from({ length: 8 }, () => madeChunk());
    for (const chunk of chunks) await storeChunks(store, [chunk]);
    return chunks;
  }

  test('leaves a pack alone of which a frame is damaged, and says so', async () => {
    const chunks = await eightPacks();
    const [bad] = chunks;
    const { pack, offset } = store.index.chunks.locate([bad!.id])[0]![0]!;
    const path = store.chunks.packPath(pack);
    flip(path, () => offset + 5);
    expect(await store.chunks.mergeSmallPacks()).toMatchObject({ merged: 7 });
    expect(fs.existsSync(path)).toBe(true);
    expect(warnings).toMatchObject([{ code: 'W_PACK_KEPT' }]);
    expect(reasons()).toEqual(['1 damaged']);
    expect(await readable(store, chunks.slice(1))).toEqual(Array(7).fill(true));
    // Nor by the next one: it is good again when the disk is.
    await storeChunks(
      store,
      Array.from({ length: 1 }, () => madeChunk()),
    );
    flip(path, () => offset + 5);
    expect(await readable(store, chunks)).toEqual(Array(8).fill(true));
    expect(reasons()).toEqual([]);
  });

  test('leaves a pack alone that has a mark from before', async () => {
    const chunks = await eightPacks();
    const { pack } = store.index.chunks.locate([chunks[0]!.id])[0]![0]!;
    store.index.chunks.markCopies([{ id: chunks[0]!.id, pack, reason: 'unreadable', why: 'EIO' }]);
    await store.chunks.mergeSmallPacks();
    expect(fs.existsSync(store.chunks.packPath(pack))).toBe(true);
    expect(await readable(store, chunks)).toEqual(Array(8).fill(true));
  });

  test('gives up a damaged frame when another copy of the same bytes was read in it', async () => {
    const chunks = await eightPacks();
    const { pack } = store.index.chunks.locate([chunks[0]!.id])[0]![0]!;
    store.index.chunks.markBad(chunks[0]!.id, pack, 'other bytes');
    const at = store.index.chunks.allCopies([chunks[0]!.id])[0]![0]!.offset;
    flip(store.chunks.packPath(pack), () => at);
    await storeChunks(store, [chunks[0]!]);
    await store.chunks.mergeSmallPacks();
    expect(fs.existsSync(store.chunks.packPath(pack))).toBe(false);
    expect(await readable(store, chunks)).toEqual(Array(8).fill(true));
  });

  test('reads the medium and each frame: rows alone do not carry a pack away', async () => {
    const chunks = await eightPacks();
    const rows = store.index.chunks.packs('');
    expect(() => store.index.chunks.swapPacks([rows[0]!.name], [])).toThrow(/changed while it was compacted/);
    expect(await readable(store, chunks)).toEqual(Array(8).fill(true));
  });

  test('is as young as the youngest of its packs, also after a rebuild', async () => {
    await eightPacks();
    const youngest = store.index.chunks.packs('').reduce((a, { createdNs }) => (createdNs > a ? createdNs : a), 0n);
    await store.chunks.mergeSmallPacks();
    expect(store.index.chunks.packs('')).toMatchObject([{ createdNs: youngest }]);
    await reopen(true);
    expect(store.index.chunks.packs('')).toMatchObject([{ createdNs: youngest }]);
  });
});

describe('frames salvaged from a damaged pack', () => {
  async function cutTail(): Promise<ReturnType<typeof madeChunk>[]> {
    const chunks = [madeChunk(), madeChunk()];
    await storeChunks(store, chunks);
    flip(packPath(), (bytes) => bytes.length - 1);
    return chunks;
  }

  test('do not count when nothing here can open them', async () => {
    const chunks = await cutTail();
    await reopen(true);
    const session = store.index.chunks.beginSession('sync');
    expect([
      ...store.index.chunks.claim(
        session,
        chunks.map(({ id }) => id),
      ),
    ]).toEqual([0, 0]);
    store.index.chunks.endSession(session);
    expect(reasons()).toEqual(['2 damaged']);
  });

  test('count when they open; the pack stays a finding', async () => {
    const chunks = await cutTail();
    store.close();
    for (const part of ['', '-wal', '-shm']) fs.rmSync(store.dataDir.indexFile + part, { force: true });
    store = await openStore(folder.path, { identify: async (frames) => frames.map((_, i) => i === 1) });
    expect(store.index.chunks.locate(chunks.map(({ id }) => id)).map((copies) => copies.length)).toEqual([0, 1]);
    expect(store.index.chunks.losses()).toMatchObject([{ reason: 'damaged', chunks: 1, packs: 1 }]);
  });
});

test('a pack that a kill left is adopted only when its own copies elsewhere were not read good', async () => {
  const chunk = madeChunk();
  await storeChunks(store, [chunk]);
  const first = store.index.chunks.packs('')[0]!.name;
  await storeChunks(store, [chunk]);
  const second = store.index.chunks.packs('')[1]!.name;
  store.index.chunks.forgetPack(second);
  const at = await offsetOf(chunk.id);
  flip(store.chunks.packPath(first), () => at);
  await reopen();
  expect(fs.existsSync(store.chunks.packPath(second))).toBe(true);
  expect(await readable(store, [chunk])).toEqual([true]);
});
