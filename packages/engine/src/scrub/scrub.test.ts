import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { openTreeReader } from '../browse/tree-reader.ts';
import { EdgeError } from '../core/errors.ts';
import { packClassOf, toHex } from '../core/ids.ts';
import type { SealedSource } from '../core/ports/sealed-source.ts';
import type { WorkerPool } from '../core/ports/worker-pool.ts';
import type { PipelineTasks } from '../pipeline/tasks.ts';
import { createWorkerPool } from '../pipeline/worker-pool.ts';
import { createSeededRandom } from '../testing/seeded-random.ts';
import { type OpenedStore, openStore, storeChunks, temporaryFolder } from '../testing/store-fixture.ts';
import { createTreeFixture, type TreeFixture } from '../testing/tree-fixture.ts';
import type { Entry } from '../tree/entry.ts';
import { scrub } from './scrub.ts';
import type { ScrubDeps, ScrubReport, ScrubStore } from './scrub-types.ts';

let fixture: TreeFixture;
let pool: WorkerPool<PipelineTasks>;
let folder: ReturnType<typeof temporaryFolder>;
let store: OpenedStore;
let root: Entry;

beforeAll(async () => {
  const { keys } = await createTreeFixture('scrub');
  pool = createWorkerPool({
    size: 2,
    config: { keys, chunker: { min: 1024, avg: 4096, max: 16384 }, level: 1 } as never,
  });
});

afterAll(async () => {
  await pool.close();
});

beforeEach(async () => {
  fixture = await createTreeFixture('scrub');
  folder = temporaryFolder();
  store = await openStore(folder.path);
  const random = createSeededRandom('scrub content');
  root = fixture.dir('', [
    fixture.dir('sub', [fixture.file('one', random(3000)), fixture.file('two', random(3000))]),
    fixture.file('three', random(3000)),
  ]);
  await storeChunks(
    store,
    [...fixture.chunks.values()].map(({ id, kind, sealed }) => ({
      id,
      packClass: packClassOf(kind),
      keyId: fixture.keys.currentKeyId,
      bytes: sealed,
      sha256: createHash('sha256').update(sealed).digest(),
      identified: true,
    })),
  );
});

afterEach(() => {
  store.close();
  folder.remove();
});

function deps(sources: readonly SealedSource[] = [], stores: readonly ScrubStore[] = []): ScrubDeps {
  const snapshot = { id: 'ab'.repeat(32), body: fixture.body(root) };
  return {
    index: store.index.chunks,
    log: { snapshots: () => [snapshot as never] },
    chunks: store.chunks,
    stores,
    pool,
    reader: openTreeReader({ sources: [store.chunks, ...sources], opener: fixture.opener, warn: () => {} }),
    random: createSeededRandom('sample'),
    warn: () => {},
    monotonicMs: () => performance.now(),
  };
}

function packPath(packClass: 'data' | 'meta'): string {
  return store.chunks.packPath(store.index.chunks.packs('').find((pack) => pack.packClass === packClass)!.name);
}

function damage(path: string, change: (bytes: Buffer) => Buffer | undefined): void {
  const bytes = fs.readFileSync(path);
  fs.chmodSync(path, 0o600);
  fs.writeFileSync(path, change(bytes) ?? bytes);
}

function flip(at: number): (bytes: Buffer) => undefined {
  return (bytes) => {
    bytes[at < 0 ? bytes.length + at : at]! ^= 0x10;
  };
}

const paths = (report: ScrubReport): string[] => report.files.map(({ path }) => Buffer.from(path).toString());

test('a sound store has no findings', async () => {
  const report = await scrub({ mode: 'all', repair: false }, deps());
  expect(report).toMatchObject({ packs: { total: 2, read: 2 }, findings: [], files: [], unread: [] });
  expect(report.frames).toBe(fixture.chunks.size);
});

test('every single flipped bit of a pack is found', async () => {
  const path = packPath('data');
  const whole = fs.readFileSync(path);
  // Every byte of header, first frame header, index and footer, and some of the rest.
  const places = [
    ...Array.from({ length: 130 }, (_, i) => i),
    ...Array.from({ length: 320 }, (_, i) => whole.length - 1 - i),
    ...Array.from({ length: 40 }, (_, i) => 200 + i * 211),
  ].filter((at) => at < whole.length);
  for (const at of places) {
    const bytes = Buffer.from(whole);
    bytes[at]! ^= 1 << (at % 8);
    const name = path.slice(path.lastIndexOf('/') + 1, -5);
    const known = store.index.chunks.framesOf(name);
    const { tail, bad } = await pool.run('scrubPack', { name, packClass: 'data', from: { bytes }, known });
    expect(tail !== undefined || bad.length > 0, `byte ${at}`).toBe(true);
  }
});

test('a damaged chunk is named with its file, marked, and mended from another copy', async () => {
  damage(packPath('data'), flip(500));
  const dry = await scrub({ mode: 'all', repair: true, dryRun: true }, deps([fixture.source('peers', 'dc-a')]));
  expect(dry.repaired).toBe(0);
  const first = await scrub({ mode: 'all', repair: false }, deps());
  expect(dry.findings).toEqual(first.findings);
  expect(first.findings).toMatchObject([{ store: '', what: 'chunk', otherCopies: 0, repaired: false }]);
  expect(paths(first)).toHaveLength(1);
  const { chunk } = first.findings[0]!;
  expect(store.index.chunks.locate([chunk!])[0]).toEqual([]);

  const second = await scrub({ mode: 'all', repair: true }, deps([fixture.source('peers', 'dc-a')]));
  expect(second.findings).toMatchObject([{ repaired: true }]);
  expect(second.repaired).toBe(1);
  expect((await scrub({ mode: 'all', repair: false }, deps())).findings).toEqual([]);
  expect(store.index.chunks.locate([chunk!])[0]).toHaveLength(1);
  const read = openTreeReader({ sources: [store.chunks], opener: fixture.opener, warn: () => {} });
  expect((await read.chunks.read(1, chunk!)).length).toBe(3000);
});

test('without another copy repair leaves the finding, and a lost page names its folder', async () => {
  const sub = fixture.chunks.get(toHex((await childOf('sub')).pages![0]!))!;
  damage(packPath('meta'), (bytes) => {
    bytes[bytes.indexOf(sub.sealed) + 40]! ^= 1;
    return undefined;
  });
  const report = await scrub({ mode: 'all', repair: true }, deps());
  expect(report.findings).toMatchObject([{ what: 'chunk', repaired: false }]);
  expect(paths(report)).toEqual(['sub']);
});

async function childOf(name: string): Promise<Entry> {
  const reader = openTreeReader({ sources: [fixture.source('local')], opener: fixture.opener, warn: () => {} });
  return (await reader.child(root, Buffer.from(name)))!;
}

test('a pack that is cut short or gone names what was in it', async () => {
  damage(packPath('data'), (bytes) => bytes.subarray(0, 2000));
  const cut = await scrub({ mode: 'all', repair: false }, deps());
  expect(cut.findings.map((finding) => finding.what).sort()).toEqual(['chunk', 'chunk', 'chunk', 'index']);
  expect(paths(cut).sort()).toEqual(['sub/one', 'sub/two', 'three']);
  fs.rmSync(packPath('meta'));
  const gone = await scrub({ mode: 'all', repair: false }, deps([fixture.source('peers')]));
  expect(gone.findings.filter((finding) => finding.what === 'missing').length).toBe(2);
});

test('when only the index of a pack is damaged its chunks are moved to a new one', async () => {
  const path = packPath('data');
  damage(path, flip(-20));
  const report = await scrub({ mode: 'all', repair: true }, deps());
  expect(report.findings).toMatchObject([{ what: 'index', repaired: true }]);
  // The same chunks in the same order: the new pack has the old one's name and place.
  expect(await scrub({ mode: 'all', repair: false }, deps())).toMatchObject({ findings: [], files: [] });

  damage(path, (bytes) => {
    flip(-20)(bytes);
    flip(500)(bytes);
    return undefined;
  });
  const both = await scrub({ mode: 'all', repair: true }, deps([fixture.source('peers')]));
  expect(both.findings.map(({ what, repaired }) => [what, repaired])).toEqual([
    ['index', true],
    ['chunk', true],
  ]);
  expect(await scrub({ mode: 'all', repair: false }, deps())).toMatchObject({ findings: [], files: [] });
});

test('packs in a bucket are read, and a bucket that cannot be asked is said', async () => {
  const pack = store.index.chunks.packs('').find((row) => row.packClass === 'data')!;
  const bytes = fs.readFileSync(packPath('data'));
  store.index.chunks.addPack({ ...pack, store: 'cold' }, store.index.chunks.framesOf(pack.name));
  const bucket = (readRange: ScrubStore['readRange']): ScrubStore => ({ store: 'cold', label: 's3://cold', readRange });
  const good = await scrub({ mode: 'all', repair: false }, deps([], [bucket(async () => bytes)]));
  expect(good).toMatchObject({ packs: { total: 3, read: 3 }, findings: [] });
  const bad = Buffer.from(bytes);
  bad[500]! ^= 1;
  const damaged = await scrub({ mode: 'all', repair: false }, deps([], [bucket(async () => bad)]));
  expect(damaged.findings).toMatchObject([{ store: 'cold', otherCopies: 1 }]);
  expect(damaged.files).toEqual([]);
  const down = bucket(async () => {
    throw new EdgeError('E_STORE', 'out of reach', { retryable: true });
  });
  const unread = await scrub({ mode: 'all', repair: false }, deps([], [down]));
  expect(unread.unread).toMatchObject([{ label: 's3://cold', code: 'E_STORE' }]);
  expect(unread.findings).toEqual([]);
});

test('a sample reads a part, at least one pack of each store', async () => {
  const report = await scrub({ mode: { sample: 0.01 }, repair: false }, deps());
  expect(report.packs).toEqual({ total: 2, read: 1 });
});
