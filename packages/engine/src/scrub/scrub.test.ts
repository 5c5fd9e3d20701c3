import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
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
import { findLost } from './find-lost.ts';
import { scrub } from './scrub.ts';
import type { ScrubDeps, ScrubPlaces, ScrubReport, ScrubStore } from './scrub-types.ts';

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

/** A lone machine. */
const ALONE: ScrubPlaces = {
  isOwn: () => true,
  isWholeElsewhere: async () => false,
  isPlaced: () => false,
  isHeld: () => true,
  others: [],
};

function deps(
  sources: readonly SealedSource[] = [],
  stores: readonly ScrubStore[] = [],
  places: Partial<ScrubPlaces> = {},
): ScrubDeps {
  const snapshot = { id: 'ab'.repeat(32), body: fixture.body(root) };
  return {
    index: store.index.chunks,
    log: { snapshots: () => [snapshot as never] },
    forgetUnwanted: () => new Set(),
    places: { ...ALONE, ...places },
    chunks: store.chunks,
    stores,
    pool,
    reader: openTreeReader({ sources: [store.chunks, ...sources], opener: fixture.opener, warn: () => {} }),
    random: createSeededRandom('sample'),
    warn: () => {},
    nowNs: () => 1_800_000_000_000_000_000n,
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

test('packs of which the folder is not mounted are not called gone', async () => {
  const { packDir } = store.dataDir;
  fs.renameSync(packDir, `${packDir}.away`);
  fs.mkdirSync(packDir);
  await expect(scrub({ mode: 'all', repair: true }, deps([fixture.source('peers')]))).rejects.toMatchObject({
    code: 'E_CONFIG',
    message: expect.stringContaining(packDir),
  });
  expect(store.index.chunks.losses()).toEqual([]);
  fs.rmdirSync(packDir);
  // Its disk goes while the scrub reads the packs.
  const run: typeof pool.run = async (task, input, options) => {
    if (!fs.existsSync(`${packDir}.gone`)) fs.renameSync(packDir, `${packDir}.gone`);
    return pool.run(task, input, options);
  };
  fs.renameSync(`${packDir}.away`, packDir);
  const meanwhile = { ...deps([fixture.source('peers')]), pool: { ...pool, run } };
  await expect(scrub({ mode: 'all', repair: true }, meanwhile)).rejects.toMatchObject({ code: 'E_CONFIG' });
  expect(store.index.chunks.losses()).toEqual([]);
  fs.renameSync(`${packDir}.gone`, packDir);
  expect(await scrub({ mode: 'all', repair: false }, deps())).toMatchObject({ findings: [], files: [] });
});

test('when only the index of a pack is damaged its chunks are moved to a new one', async () => {
  const path = packPath('data');
  damage(path, flip(-20));
  const report = await scrub({ mode: 'all', repair: true }, deps());
  expect(report.findings).toMatchObject([{ what: 'index', repaired: true }]);
  expect(fs.existsSync(path)).toBe(false);
  expect(await scrub({ mode: 'all', repair: false }, deps())).toMatchObject({ findings: [], files: [] });

  damage(packPath('data'), (bytes) => {
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
  const bucket = (readRange: ScrubStore['readRange']): ScrubStore => ({
    store: 'cold',
    label: 's3://cold',
    requireIdentity: async () => {},
    readRange,
  });
  const good = await scrub({ mode: 'all', repair: false }, deps([], [bucket(async () => Uint8Array.from(bytes))]));
  expect(good).toMatchObject({ packs: { total: 3, read: 3 }, findings: [] });
  const bad = Buffer.from(bytes);
  bad[500]! ^= 1;
  const damaged = await scrub({ mode: 'all', repair: false }, deps([], [bucket(async () => Uint8Array.from(bad))]));
  expect(damaged.findings).toMatchObject([{ store: 'cold', otherCopies: 1 }]);
  expect(damaged.files).toEqual([]);
  const down = bucket(async () => {
    throw new EdgeError('E_STORE', 'out of reach', { retryable: true });
  });
  const unread = await scrub({ mode: 'all', repair: false }, deps([], [down]));
  expect(unread.unread).toMatchObject([{ label: 's3://cold', code: 'E_STORE' }]);
  expect(unread.findings).toEqual([]);
});

test('of large packs in a bucket one is in memory at a time', async () => {
  const pack = store.index.chunks.packs('').find((row) => row.packClass === 'data')!;
  const rows = store.index.chunks.framesOf(pack.name);
  for (const digit of ['1', '2', '3', '4'])
    store.index.chunks.addPack({ ...pack, name: digit.repeat(64), store: 'cold', bytes: 60 * 1024 * 1024 }, rows);
  let reading = 0;
  let most = 0;
  const bucket: ScrubStore = {
    store: 'cold',
    label: 's3://cold',
    requireIdentity: async () => {},
    async readRange() {
      most = Math.max(most, ++reading);
      await new Promise((resolve) => setTimeout(resolve, 5));
      reading--;
      return new Uint8Array(200);
    },
  };
  expect((await scrub({ mode: 'all', repair: false }, deps([], [bucket]))).packs.read).toBe(6);
  expect(most).toBe(1);
});

test('a sample reads a part, at least one pack of each store', async () => {
  const report = await scrub({ mode: { sample: 0.01 }, repair: false }, deps());
  expect(report.packs).toEqual({ total: 2, read: 1 });
});

describe('a pack that is gone since the data dir was opened', () => {
  beforeEach(() => {
    const gone = store.index.chunks.packs('').find((pack) => pack.packClass === 'data')!;
    fs.rmSync(store.chunks.packPath(gone.name));
    store.index.chunks.forgetPack(gone.name);
  });

  const peer = (mayKnowMore: boolean, locate: SealedSource['locate'] | undefined): ScrubPlaces['others'] => [
    { label: 'dc-a', mayKnowMore, source: locate === undefined ? undefined : { ...fixture.source('peers'), locate } },
  ];
  const isAway: SealedSource['locate'] = async () => {
    throw new EdgeError('E_STORE', 'out of reach', { retryable: true });
  };

  test('is found by what the snapshots need, and the files are named', async () => {
    const report = await scrub({ mode: 'all', repair: false }, deps());
    expect(report).toMatchObject({ findings: [], lost: { chunks: 3, isComplete: true }, unknown: { chunks: 0 } });
    expect(paths(report).sort()).toEqual(['sub/one', 'sub/two', 'three']);
    expect(report.files.every(({ state }) => state === 'lost')).toBe(true);
  });

  test('is no loss where a peer stated to have it, has the snapshot as a whole, or says that it has the chunks', async () => {
    const has = await fixture.source('peers');
    for (const places of [
      { isPlaced: () => true },
      { isWholeElsewhere: async () => true },
      { others: peer(true, (ids, signal) => has.locate(ids, signal)) },
    ]) {
      const report = await scrub({ mode: 'all', repair: false }, deps([], [], places));
      expect(report).toMatchObject({ files: [], lost: { chunks: 0 }, unknown: { chunks: 0 } });
    }
  });

  test('is unknown while a place that may know more cannot be asked, and lost when it could not', async () => {
    const open = await scrub({ mode: 'all', repair: false }, deps([], [], { others: peer(true, isAway) }));
    expect(open).toMatchObject({ files: [], lost: { chunks: 0 }, unknown: { chunks: 3, places: ['dc-a'] } });
    const unnamed = await scrub({ mode: 'all', repair: false }, deps([], [], { others: peer(true, undefined) }));
    expect(unnamed.unknown).toMatchObject({ chunks: 3, places: ['dc-a'] });
    const known = await scrub({ mode: 'all', repair: false }, deps([], [], { others: peer(false, isAway) }));
    expect(known).toMatchObject({ lost: { chunks: 3 }, unknown: { chunks: 0, places: [] } });
    // What another agent's snapshot needs, no answer to this one tells.
    const others = { isOwn: () => false, others: peer(false, isAway) };
    expect(await scrub({ mode: 'all', repair: false }, deps([], [], others))).toMatchObject({ unknown: { chunks: 3 } });
    const asked = { others: peer(true, async (ids) => ids.map(() => undefined)) };
    expect(await scrub({ mode: 'all', repair: false }, deps([], [], asked))).toMatchObject({ lost: { chunks: 3 } });
  });

  test('a page that is gone: its folder, and nothing is said of what it named', async () => {
    const page = fixture.chunks.get(toHex((await childOf('sub')).pages![0]!))!;
    const meta = store.index.chunks.packs('').find((pack) => pack.packClass === 'meta')!;
    store.index.chunks.markBad(page.id, meta.name, 'gone');
    damage(packPath('meta'), (bytes) => bytes.subarray(0, 70));
    store.index.chunks.forgetPack(meta.name);
    // The top page is still read from a peer, which the index knows nothing of.
    const others = fixture.source('peers');
    const top = toHex(root.pages![0]!);
    const source: SealedSource = {
      ...others,
      locate: async (ids, signal) =>
        (await others.locate(ids, signal)).map((found, i) => (toHex(ids[i]!) === top ? found : undefined)),
    };
    const places = { others: [{ label: 'dc-a', mayKnowMore: true, source }] };
    const report = await scrub({ mode: 'all', repair: false }, deps([source], [], places));
    expect(paths(report).sort()).toEqual(['sub', 'three']);
    expect(report).toMatchObject({ lost: { chunks: 2 }, unknown: { chunks: 0, unread: 0 } });
  });

  test('is read no further than the first time when many snapshots share it', async () => {
    let reads = 0;
    const base = deps();
    const counting = openTreeReader({
      sources: [
        {
          ...store.chunks,
          fetch: (addresses, signal) => {
            reads += addresses.length;
            return store.chunks.fetch(addresses, signal);
          },
        },
      ],
      opener: fixture.opener,
      warn: () => {},
    });
    const snapshot = base.log.snapshots()[0]!;
    const many = { ...base, reader: counting, log: { snapshots: () => Array(50).fill(snapshot) } };
    const found = await findLost(many, new Set());
    expect(found.lost.size).toBe(3);
    expect(reads).toBe(2);
  });
});

test('chunks that a restore marked before are still named with their files', async () => {
  const pack = store.index.chunks.packs('').find((row) => row.packClass === 'data')!;
  damage(packPath('data'), (bytes) => bytes.subarray(0, 2000));
  for (const { id } of store.index.chunks.framesOf(pack.name))
    store.index.chunks.markBad(id, pack.name, 'met by a restore');
  for (const mode of ['all', { sample: 1 }] as const) {
    const report = await scrub({ mode, repair: false }, deps());
    expect(report.findings.map((finding) => finding.what).sort()).toEqual(['chunk', 'chunk', 'chunk', 'index']);
    expect(paths(report).sort()).toEqual(['sub/one', 'sub/two', 'three']);
  }
});
