import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { armFailpoints } from '../../core/failpoint.ts';
import { MIB, PACK_FRAMES_TARGET } from '../../core/limits.ts';
import type { SealedChunk } from '../../core/ports/chunk-store.ts';
import {
  FIXTURE_VAULT,
  madeChunk,
  type OpenedStore,
  openStore,
  readable,
  storeChunks,
  temporaryFolder,
} from '../../testing/store-fixture.ts';
import { lockDataDir } from '../data-dir-lock.ts';
import { requirePackFolder } from './pack-folder-marker.ts';
import { verifyPack } from './verify-pack.ts';

let folder: ReturnType<typeof temporaryFolder>;
let store: OpenedStore;
const reopen = async (): Promise<void> => {
  store.close();
  store = await openStore(folder.path);
};
const packFiles = (): string[] =>
  readdirSync(store.dataDir.packDir, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.pack'))
    .map((name) => join(store.dataDir.packDir, name));
const many = (count: number, bytes = 1000): SealedChunk[] => Array.from({ length: count }, () => madeChunk(bytes));

beforeEach(async () => {
  folder = temporaryFolder();
  store = await openStore(folder.path);
});
afterEach(() => {
  store.close();
  folder.remove();
});

describe('writing', () => {
  test('what was flushed is read back, in packs of one class each, and names no temporary file', async () => {
    const chunks = [...many(300), ...many(4, 3 * MIB), ...Array.from({ length: 20 }, () => madeChunk(400, 'meta'))];
    await storeChunks(store, chunks);
    expect(await readable(store, chunks)).not.toContain(false);
    expect(
      store.index.chunks
        .packs()
        .map((pack) => pack.packClass)
        .sort(),
    ).toEqual(['data', 'meta']);
    expect(readdirSync(store.dataDir.packTemporaryDir)).toEqual([]);
    for (const pack of store.index.chunks.packs()) {
      expect(await verifyPack(store.chunks.packPath(pack.name), pack.name)).toMatchObject({
        state: 'good',
        bytes: pack.bytes,
      });
      expect(statSync(store.chunks.packPath(pack.name)).mode & 0o777).toBe(0o600);
    }
  });

  test('packs are closed at their target size', async () => {
    await storeChunks(store, many(20, 4 * MIB));
    const sizes = store.index.chunks.packs().map((pack) => pack.bytes);
    expect(sizes).toHaveLength(3);
    expect(Math.max(...sizes)).toBeLessThan(33 * MIB);
  });

  test('packs of tiny chunks are closed at a number of frames: what is in memory of a pack grows with those', async () => {
    await storeChunks(store, many(PACK_FRAMES_TARGET + 10, 1));
    const frames = store.index.chunks.packs().map((pack) => pack.frames);
    expect(frames.sort((a, b) => a - b)).toEqual([10, PACK_FRAMES_TARGET]);
  });

  test('a chunk added again by the writer is ignored, also when its pack is indexed by then', async () => {
    const chunks = many(5);
    const writer = store.chunks.openWriter();
    for (const chunk of [...chunks, ...chunks]) await writer.add(chunk);
    await writer.flush();
    for (const chunk of chunks) await writer.add(chunk);
    await writer.close();
    expect(writer.stats).toEqual({ chunks: 5, bytes: 5000, packs: 1 });
    expect(store.index.chunks.counts()).toMatchObject({ packs: 1, chunks: 5 });
  });

  test('adding without waiting keeps the order and loses nothing', async () => {
    const chunks = many(500, 20_000);
    const writer = store.chunks.openWriter();
    await Promise.all(chunks.map((chunk) => writer.add(chunk)));
    await writer.close();
    expect(await readable(store, chunks)).not.toContain(false);
  });

  test('chunks of a session cannot be dropped until it ends', async () => {
    const [chunk] = many(1) as [SealedChunk];
    const session = store.index.chunks.beginSession('capture');
    const writer = store.chunks.openWriter();
    await writer.add(chunk);
    await writer.close();
    expect(await store.chunks.drop([chunk.id])).toEqual({ bytesFreed: 0, kept: [0] });
    store.index.chunks.endSession(session);
    expect((await store.chunks.drop([chunk.id])).bytesFreed).toBeGreaterThan(1000);
    expect(packFiles()).toEqual([]);
  });

  test('abandoning removes the temporary files and indexes nothing', async () => {
    const writer = store.chunks.openWriter();
    for (const chunk of many(3)) await writer.add(chunk);
    await writer.abandon();
    expect(readdirSync(store.dataDir.packTemporaryDir)).toEqual([]);
    expect(store.index.chunks.counts().packs).toBe(0);
    await expect(writer.add(madeChunk())).rejects.toMatchObject({ code: 'E_FAILED' });
  });

  test('a failure sticks: no later flush promises anything', async () => {
    const writer = store.chunks.openWriter();
    await writer.add(madeChunk());
    const disarm = armFailpoints((name) => {
      if (name === 'pack.synced') throw Object.assign(new Error('disk gone'), { code: 'EIO' });
    });
    await expect(writer.flush()).rejects.toMatchObject({ code: 'E_IO' });
    disarm();
    await expect(writer.flush()).rejects.toMatchObject({ code: 'E_IO' });
    await expect(writer.close()).rejects.toMatchObject({ code: 'E_IO' });
    expect(readdirSync(store.dataDir.packTemporaryDir)).toEqual([]);
  });

  test('a chunk that no pack may hold fails the writer', async () => {
    const writer = store.chunks.openWriter();
    await writer.add(madeChunk());
    await expect(writer.add({ ...madeChunk(), sha256: new Uint8Array(3) })).rejects.toMatchObject({ code: 'E_FAILED' });
    await expect(writer.flush()).rejects.toMatchObject({ code: 'E_FAILED' });
    await writer.abandon();
    expect(packFiles()).toEqual([]);
  });

  test('below the free-space floor nothing new is stored', async () => {
    store.close();
    store = await openStore(folder.path, { floorBytes: 2 ** 60 });
    expect(await store.chunks.freeSpace()).toMatchObject({ belowFloor: true });
    const writer = store.chunks.openWriter();
    await expect(writer.add(madeChunk())).rejects.toMatchObject({ code: 'E_NO_SPACE', exitCode: 15 });
    await writer.abandon();
  });
});

describe('reading', () => {
  test('a pack that was compacted since the look-up is looked up again', async () => {
    const chunks = many(40);
    await storeChunks(store, chunks);
    const addresses = (await store.chunks.locate(chunks.map((chunk) => chunk.id))).filter(
      (address) => address !== undefined,
    );
    await store.chunks.drop(chunks.slice(0, 30).map((chunk) => chunk.id));
    const outcomes = [];
    for await (const outcome of store.chunks.fetch(addresses)) outcomes.push(outcome);
    expect(outcomes).toHaveLength(40);
    expect(outcomes.filter((outcome) => 'sealed' in outcome)).toHaveLength(10);
    expect(outcomes.filter((outcome) => 'reason' in outcome && outcome.reason === 'absent')).toHaveLength(30);
  });

  test('a damaged copy is marked and the next one read', async () => {
    const [chunk] = many(1) as [SealedChunk];
    await storeChunks(store, [chunk, ...many(2)]);
    const [bad] = packFiles() as [string];
    await storeChunks(store, [chunk]);
    const bytes = readFileSync(bad);
    bytes.fill(0, 64, 112);
    writeFileSync(bad, bytes);
    const epoch = store.index.chunks.lossEpoch();
    expect(await readable(store, [chunk])).toEqual([true]);
    expect(store.index.chunks.lossEpoch()).toBe(epoch + 1);
    expect(store.index.chunks.locate([chunk.id])[0]).toHaveLength(1);
  });

  test('a cut pack loses its end only, and says so', async () => {
    const chunks = many(10, 30_000);
    await storeChunks(store, chunks);
    const [file] = packFiles() as [string];
    truncateSync(file, 150_000);
    const good = await readable(store, chunks);
    expect(good).toEqual([true, true, true, true, false, false, false, false, false, false]);
    expect(store.index.chunks.counts().badCopies).toBe(6);
  });

  test('where the index is wrong about a place, the pack itself is asked', async () => {
    const [chunk, other] = many(2) as [SealedChunk, SealedChunk];
    await storeChunks(store, [chunk, other]);
    const [address] = await store.chunks.locate([chunk.id]);
    const outcomes = [];
    for await (const outcome of store.chunks.fetch([{ ...address!, offset: address!.offset! + 500 }]))
      outcomes.push(outcome);
    expect(outcomes[0]).toMatchObject({ sealed: Buffer.from(chunk.bytes) });
    expect(store.index.chunks.counts().badCopies).toBe(0);
  });

  test('every flipped byte of a pack is found by verifying it', async () => {
    await storeChunks(store, many(3, 300));
    const [pack] = store.index.chunks.packs();
    const [file] = packFiles() as [string];
    const good = readFileSync(file);
    for (let at = 0; at < good.length; at += 7) {
      const bytes = Buffer.from(good);
      bytes[at] = bytes[at]! ^ 0x10;
      writeFileSync(file, bytes);
      const found = await verifyPack(file, pack!.name).catch((error: { code: string }) => ({ state: error.code }));
      expect(['damaged', 'unreadable', 'E_NEWER_FORMAT'], `byte ${at}`).toContain(found.state);
    }
    rmSync(file);
    expect(await verifyPack(file, pack!.name)).toMatchObject({ state: 'absent' });
  });
});

describe('keeping packs in shape', () => {
  test('many small packs become one, and every chunk is still read', async () => {
    const rounds = Array.from({ length: 9 }, () => many(5));
    for (const chunks of rounds) await storeChunks(store, chunks);
    await storeChunks(store, rounds[0]!);
    expect(await store.chunks.mergeSmallPacks()).toMatchObject({ merged: 10 });
    expect(packFiles()).toHaveLength(1);
    expect(store.index.chunks.counts()).toMatchObject({ packs: 1, chunks: 45 });
    expect(await readable(store, rounds.flat())).not.toContain(false);
    expect(await store.chunks.mergeSmallPacks()).toEqual({ merged: 0, bytes: 0 });
    await reopen();
    expect(store.reconciled).toMatchObject({ rebuilt: false, packs: { adopted: 0, missing: [], removed: 0 } });
    expect(await readable(store, rounds.flat())).not.toContain(false);
  });

  test('merging packs of which one has all the others keeps that one', async () => {
    const chunks = many(8);
    await storeChunks(store, chunks);
    for (const chunk of chunks) await storeChunks(store, [chunk]);
    expect((await store.chunks.mergeSmallPacks()).merged).toBe(9);
    expect(packFiles()).toHaveLength(1);
    expect(await readable(store, chunks)).not.toContain(false);
  });

  test('a damaged frame does not go into a merged pack, its neighbours do', async () => {
    const rounds = Array.from({ length: 8 }, () => many(3));
    for (const chunks of rounds) await storeChunks(store, chunks);
    const victim = rounds[4]![1]!;
    const [address] = await store.chunks.locate([victim.id]);
    const file = store.chunks.packPath(address!.pack!);
    const bytes = readFileSync(file);
    bytes[address!.offset! + 10] = bytes[address!.offset! + 10]! ^ 1;
    writeFileSync(file, bytes);
    await store.chunks.mergeSmallPacks();
    expect((await readable(store, rounds.flat())).filter((good) => !good)).toHaveLength(1);
    expect(store.index.chunks.locate([victim.id])[0]).toEqual([]);
  });

  test('what is dropped is gone, what shares its pack is not, and little loss is no reason to rewrite', async () => {
    const chunks = many(100);
    await storeChunks(store, chunks);
    const dropped = chunks.slice(0, 10);
    expect(await store.chunks.drop(dropped.map((chunk) => chunk.id))).toMatchObject({ bytesFreed: 0 });
    expect((await readable(store, chunks)).filter(Boolean)).toHaveLength(90);
    const { bytesFreed } = await store.chunks.drop(chunks.slice(10, 70).map((chunk) => chunk.id));
    expect(bytesFreed).toBeGreaterThan(60_000);
    expect(await readable(store, chunks.slice(70))).not.toContain(false);
    expect(packFiles()).toHaveLength(1);
  });
});

describe('what a start puts right', () => {
  test('a pack that lost its row is adopted, a row that lost its file is forgotten', async () => {
    const chunks = many(6);
    await storeChunks(store, chunks.slice(0, 3));
    await storeChunks(store, chunks.slice(3));
    const [gone, orphan] = store.index.chunks.packs();
    store.index.chunks.forgetPack(orphan!.name);
    rmSync(store.chunks.packPath(gone!.name));
    await reopen();
    expect(store.reconciled.packs).toEqual({ adopted: 1, missing: [gone!.name], removed: 0 });
    await reopen();
    expect(store.reconciled.packs).toEqual({ adopted: 0, missing: [], removed: 0 });
    expect((await readable(store, chunks)).filter(Boolean)).toHaveLength(3);
  });

  test('an index that was deleted is built again, also from packs whose own index is damaged', async () => {
    const rounds = [many(4), many(4), many(4)];
    for (const chunks of rounds) await storeChunks(store, chunks);
    const [address] = await store.chunks.locate([rounds[1]![0]!.id]);
    const file = store.chunks.packPath(address!.pack!);
    truncateSync(file, statSync(file).size - 100);
    utimesSync(file, 1000, 1000);
    const [last] = await store.chunks.locate([rounds[2]![0]!.id]);
    writeFileSync(store.chunks.packPath(last!.pack!), 'nothing like a pack');
    store.close();
    rmSync(store.dataDir.indexFile);
    store = await openStore(folder.path);
    expect(store.reconciled).toMatchObject({ rebuilt: true, packs: { adopted: 2 } });
    expect(store.reconciled.problems.map((problem) => problem.code)).toEqual(['E_INTEGRITY', 'E_INTEGRITY']);
    expect((await readable(store, rounds.flat())).filter(Boolean)).toHaveLength(8);
    expect(store.index.chunks.locate([rounds[0]![0]!.id])[0]![0]!.identified).toBe(false);
    // What was stored long ago is not new because it is found again.
    expect(store.index.chunks.locate([rounds[1]![0]!.id])[0]![0]!.createdNs).toBe(1_000_000_000_000n);
    expect(store.index.kv.get('relearn')).toBeDefined();
  });

  test('a pack folder whose disk is not mounted is E_CONFIG, not a loss', async () => {
    const other = join(folder.path, 'mount');
    mkdirSync(other);
    const home = join(folder.path, 'home');
    const apart = await openStore(home, { packDir: other });
    await storeChunks(apart, many(2));
    apart.close();
    rmSync(other, { recursive: true });
    mkdirSync(other);
    await expect(openStore(home, { packDir: other })).rejects.toMatchObject({
      code: 'E_CONFIG',
      message: expect.stringContaining(other),
    });
    await expect(requirePackFolder(other, FIXTURE_VAULT, false)).resolves.toBeUndefined();
    await expect(requirePackFolder(other, '00'.repeat(16), false)).rejects.toMatchObject({ code: 'E_CONFIG' });
  });
});

describe.skipIf(process.getuid?.() !== 0)('a full disk', () => {
  test('is E_NO_SPACE; what was flushed before stays, reading works, and freeing space is enough', async ({ skip }) => {
    const mount = join(folder.path, 'small');
    mkdirSync(mount);
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=12m', 'tmpfs', mount]);
    } catch {
      return skip('mounting a tmpfs is not permitted here');
    }
    try {
      let small = await openStore(join(mount, 'home'));
      const first = many(50, 20_000);
      await storeChunks(small, first);
      const ballast = join(mount, 'ballast');
      writeFileSync(ballast, Buffer.alloc(4 * MIB));
      await expect(storeChunks(small, many(40, 200_000))).rejects.toMatchObject({ code: 'E_NO_SPACE' });
      expect(readdirSync(small.dataDir.packTemporaryDir)).toEqual([]);
      expect(await readable(small, first)).not.toContain(false);
      small.close();
      rmSync(ballast);
      small = await openStore(join(mount, 'home'));
      const more = many(10, 200_000);
      await storeChunks(small, more);
      expect(await readable(small, [...first, ...more])).not.toContain(false);
      small.close();
      const { bavail, bsize } = statfsSync(mount);
      writeFileSync(ballast, Buffer.alloc(bavail * bsize));
      expect(statfsSync(mount).bavail).toBe(0);
      lockDataDir(small.dataDir.lockFile, { pid: 1, command: 'c', since: 's' }).release();
      small = await openStore(join(mount, 'home'));
      expect(await readable(small, [...first, ...more])).not.toContain(false);
      expect(() => {
        for (let i = 0; i < 50; i++) small.index.kv.set(`k${i}`, 'x'.repeat(4000));
      }).toThrow(expect.objectContaining({ code: 'E_NO_SPACE' }));
      const record = { type: 'pin', snapshot: 'aa'.repeat(32), reason: 'x'.repeat(200) } as const;
      const full = async () => {
        for (let i = 0; i < 50; i++) await small.chain.append(record);
      };
      await expect(full()).rejects.toMatchObject({ code: 'E_NO_SPACE' });
      rmSync(ballast);
      const { seq } = await small.chain.append(record);
      small.close();
      small = await openStore(join(mount, 'home'));
      expect(small.chain.position()?.seq).toBe(seq);
      expect(small.chains.agents()).toHaveLength(1);
      small.close();
    } finally {
      execFileSync('umount', ['-l', mount]);
    }
    expect(existsSync(mount)).toBe(true);
  });
});
