import { randomBytes } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { toHex } from '../core/ids.ts';
import type { FrameRow, PackRow } from '../core/ports/index.ts';
import { createFakeClock } from '../testing/fake-clock.ts';
import { temporaryFolder } from '../testing/store-fixture.ts';
import { schemaVersion } from './database.ts';
import { type Index, openIndex } from './open-index.ts';

const vault = 'cd'.repeat(16);
const clock = createFakeClock();
let folder: ReturnType<typeof temporaryFolder>;
let index: Index;
const path = (): string => join(folder.path, 'index.sqlite');
const reopen = (): void => {
  index.close();
  index = openIndex(path(), { clock, vault });
};

beforeEach(() => {
  folder = temporaryFolder();
  index = openIndex(path(), { clock, vault });
});
afterEach(() => {
  index.close();
  folder.remove();
});

function madePack(frames: number, store = '', over: Partial<FrameRow> = {}): { pack: PackRow; rows: FrameRow[] } {
  const rows = Array.from({ length: frames }, (_, i) => ({
    id: new Uint8Array(randomBytes(32)),
    keyId: 7,
    offset: 112 + i * 1000,
    sealedBytes: 900,
    sealedSha256: new Uint8Array(randomBytes(32)),
    identified: i % 2 === 0,
    ...over,
  }));
  const name = randomBytes(32).toString('hex');
  return {
    pack: { name, store, packClass: 'data', bytes: frames * 1000, frames, createdNs: 1_700_000_000_123_456_789n },
    rows,
  };
}

function added(frames: number, store = '', over: Partial<FrameRow> = {}): ReturnType<typeof madePack> {
  const made = madePack(frames, store, over);
  index.chunks.addPack(made.pack, made.rows);
  return made;
}

describe('opening', () => {
  test('is durable: WAL and synchronous=FULL, and is empty until it is marked built', () => {
    index.close();
    const raw = new Sqlite(path());
    expect(raw.pragma('journal_mode', { simple: true })).toBe('wal');
    raw.close();
    index = openIndex(path(), { clock, vault });
    expect(index.isBuilt()).toBe(false);
    index.markBuilt();
    for (const tail of ['', '-wal', '-shm']) expect(statSync(path() + tail).mode & 0o777).toBe(0o600);
    reopen();
    expect(index.isBuilt()).toBe(true);
    expect(index.quarantined).toBeUndefined();
  });

  const quarantines = (): void => {
    index = openIndex(path(), { clock, vault });
    expect(index.quarantined?.path).toMatch(/index\.sqlite\.corrupt-\d{8}T/);
    expect(existsSync(index.quarantined!.path)).toBe(true);
    expect(index.isBuilt()).toBe(false);
    expect(index.chunks.counts().packs).toBe(0);
  };

  test.each([
    ['of another vault', () => openIndex(path(), { clock, vault: 'ee'.repeat(16) }).close()],
    ['that is text', () => writeFileSync(path(), 'not a database at all, but long enough to be looked at'.repeat(40))],
    ['cut to its header', () => truncateSync(path(), 100)],
    ['cut in the middle', () => truncateSync(path(), Math.floor(statSync(path()).size / 8192) * 4096)],
    [
      'of a newer program',
      () => {
        const raw = new Sqlite(path());
        raw.pragma(`user_version = ${schemaVersion() + 1}`);
        raw.close();
      },
    ],
  ])('sets aside an index %s', (_what, spoil) => {
    added(500);
    index.markBuilt();
    index.close();
    for (const tail of ['-wal', '-shm']) rmSync(path() + tail, { force: true });
    spoil();
    quarantines();
  });

  test('an empty file or a killed first start is simply begun', () => {
    index.close();
    writeFileSync(path(), '');
    index = openIndex(path(), { clock, vault });
    expect(index.quarantined).toBeUndefined();
  });

  test('flipped pages are set aside or change nothing that is asked', () => {
    const made = added(2000);
    index.markBuilt();
    index.close();
    const good = readFileSync(path());
    let setAside = 0;
    for (let page = 0; page < good.length / 4096; page += 3) {
      const bad = Buffer.from(good);
      for (let i = 0; i < 24; i++) bad[page * 4096 + i] = bad[page * 4096 + i]! ^ 0xff;
      writeFileSync(path(), bad);
      for (const tail of ['-wal', '-shm']) rmSync(path() + tail, { force: true });
      index = openIndex(path(), { clock, vault });
      if (index.quarantined !== undefined) setAside++;
      else expect(index.chunks.framesOf(made.pack.name)).toHaveLength(2000);
      index.close();
    }
    expect(setAside).toBeGreaterThan(10);
    index = openIndex(path(), { clock, vault });
  });

  test('damage met in use is noted, and the next start sets the file aside', () => {
    added(2000);
    index.markBuilt();
    reopen();
    const raw = new Sqlite(path());
    raw.pragma('wal_checkpoint(TRUNCATE)');
    raw.close();
    const bytes = readFileSync(path());
    writeFileSync(path(), Buffer.concat([bytes.subarray(0, 4096 * 3), randomBytes(bytes.length - 4096 * 3)]));
    expect(() => {
      for (let i = 0; i < 200; i++) index.chunks.locate([new Uint8Array(randomBytes(32))]);
      index.chunks.counts();
    }).toThrow(expect.objectContaining({ code: 'E_INTEGRITY' }));
    expect(existsSync(`${path()}.suspect`)).toBe(true);
    try {
      index.close();
    } catch (error) {
      expect(error).toMatchObject({ code: 'E_INTEGRITY' });
    }
    quarantines();
    expect(existsSync(`${path()}.suspect`)).toBe(false);
  });

  test('a stale copy is not damage: it opens', () => {
    index.markBuilt();
    reopen();
    copyFileSync(path(), join(folder.path, 'old'));
    added(10);
    index.close();
    copyFileSync(join(folder.path, 'old'), path());
    index = openIndex(path(), { clock, vault });
    expect(index.quarantined).toBeUndefined();
    expect(readdirSync(folder.path).filter((name) => name.includes('corrupt'))).toEqual([]);
  });
});

describe('chunks', () => {
  test('locations come back as they were added, own disk first', () => {
    const cold = added(1, 'archive');
    const { id } = cold.rows[0]!;
    const local = added(3, '', { id });
    const copies = index.chunks.locate([id])[0]!;
    expect(copies.map((copy) => copy.store)).toEqual(['', '', '', 'archive']);
    expect(copies[3]).toMatchObject({
      pack: cold.pack.name,
      offset: 112,
      sealedBytes: 900,
      keyId: 7,
      identified: true,
      createdNs: 1_700_000_000_123_456_789n,
    });
    expect(toHex(copies[3]!.sealedSha256)).toBe(toHex(cold.rows[0]!.sealedSha256));
    expect(index.chunks.packByName(local.pack.name)).toMatchObject(local.pack);
    expect(index.chunks.packs('archive')).toHaveLength(1);
    expect(index.chunks.counts()).toMatchObject({ packs: 2, chunks: 1, bytes: 4000 });
  });

  test('a pack added twice is one pack; frames come back in order', () => {
    const made = added(100);
    index.chunks.addPack(made.pack, made.rows);
    expect(index.chunks.framesOf(made.pack.name).map((row) => row.offset)).toEqual(made.rows.map((row) => row.offset));
  });

  test('a pack of one name in two stores is two packs', () => {
    const made = added(2);
    index.chunks.addPack({ ...made.pack, store: 'archive' }, made.rows);
    expect(index.chunks.locate([made.rows[0]!.id])[0]!.map((copy) => copy.store)).toEqual(['', 'archive']);
    index.chunks.markBad(made.rows[0]!.id, made.pack.name, 'flipped', 'archive');
    expect(index.chunks.locate([made.rows[0]!.id])[0]!.map((copy) => copy.store)).toEqual(['']);
    index.chunks.forgetPack(made.pack.name);
    expect(index.chunks.packByName(made.pack.name)).toBeUndefined();
    expect(index.chunks.framesOf(made.pack.name, 'archive')).toHaveLength(1);
    index.chunks.addPack({ ...made.pack, store: 'archive' }, made.rows);
    expect(index.chunks.framesOf(made.pack.name, 'archive')).toHaveLength(2);
    expect(index.chunks.counts()).toMatchObject({ packs: 1, badCopies: 0 });
  });

  test('ids that share their first 48 bits are told apart', () => {
    const id = new Uint8Array(randomBytes(32));
    const other = Uint8Array.from(id);
    other[31] = other[31]! ^ 1;
    added(1, '', { id });
    expect(index.chunks.locate([other])[0]).toEqual([]);
    const session = index.chunks.beginSession('t');
    expect([...index.chunks.claim(session, [id, other])]).toEqual([1, 0]);
  });

  test('a bad copy is found no more, and the loss epoch rises once', () => {
    const made = added(2);
    const id = made.rows[0]!.id;
    const before = index.chunks.lossEpoch();
    index.chunks.markBad(id, made.pack.name, 'tag');
    index.chunks.markBad(id, made.pack.name, 'again');
    expect(index.chunks.lossEpoch()).toBe(before + 1);
    expect(index.chunks.locate([id])[0]).toEqual([]);
    expect(index.chunks.counts().badCopies).toBe(1);
    index.chunks.forgetPack(made.pack.name);
    expect(index.chunks.counts()).toMatchObject({ packs: 0, chunks: 0, badCopies: 0 });
    expect(index.chunks.lossEpoch()).toBe(before + 2);
  });

  test('the last copy stays while a session claims it or another owner holds it', () => {
    const { rows, pack } = added(4);
    const [free, claimed, held, twice] = rows.map((row) => row.id) as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
    added(1, 'archive', { id: twice });
    const session = index.chunks.beginSession('capture');
    index.chunks.claim(session, [claimed, twice]);
    holdFor('11'.repeat(16), held);
    expect(index.chunks.dropLocations('', [free, claimed, held, twice]).packs).toEqual([pack.name]);
    expect(index.chunks.locate([free, claimed, held, twice]).map((copies) => copies.map((copy) => copy.store))).toEqual(
      [[], [''], [''], ['archive']],
    );
    index.chunks.endSession(session);
    expect(index.chunks.dropLocations('', [claimed]).packs).toEqual([pack.name]);
  });

  test('what was stored since a session began is relied on, also when it moves, and when the number of an older pack was free', () => {
    const older = added(1);
    const free = older.rows[0]!.id;
    index.chunks.forgetPack(added(1).pack.name);
    const session = index.chunks.beginSession('capture');
    const stored = added(1);
    const id = stored.rows[0]!.id;
    expect(index.chunks.dropLocations('', [id]).packs).toEqual([]);
    const moved = madePack(1);
    moved.rows = moved.rows.map((row) => ({ ...row, id }));
    index.chunks.swapPacks([stored.pack.name], [{ pack: moved.pack, frames: moved.rows }]);
    expect(index.chunks.dropLocations('', [id, free]).packs).toEqual([older.pack.name]);
    index.chunks.endSession(session);
    expect(index.chunks.dropLocations('', [id]).packs).toEqual([moved.pack.name]);
  });

  test('a swap that would lose a chunk is undone as a whole', () => {
    const old = added(3);
    const next = madePack(2);
    next.rows = next.rows.map((row, i) => ({ ...row, id: old.rows[i]!.id }));
    expect(() => index.chunks.swapPacks([old.pack.name], [{ pack: next.pack, frames: next.rows }])).toThrow(
      expect.objectContaining({ code: 'E_FAILED', retryable: true }),
    );
    expect(index.chunks.packByName(next.pack.name)).toBeUndefined();
    expect(index.chunks.framesOf(old.pack.name)).toHaveLength(3);
    index.chunks.dropLocations('', [old.rows[2]!.id]);
    index.chunks.swapPacks([old.pack.name], [{ pack: next.pack, frames: next.rows }]);
    expect(index.chunks.doomedPacks()).toEqual([old.pack.name]);
    expect(index.chunks.locate([old.rows[0]!.id])[0]![0]!.pack).toBe(next.pack.name);
  });

  test('folder rows below one: not beside it, of another root, of another epoch; in byte order', () => {
    const put = (root: string, ...paths: string[]) =>
      index.folders.put(
        root,
        paths.map((path) => ({ path: Buffer.from(path, 'latin1'), value: Buffer.from(path, 'latin1') })),
      );
    const below = (path: string, epoch = index.chunks.lossEpoch()) =>
      [...index.folders.below('r', Buffer.from(path, 'latin1'), epoch)].map((row) => [
        Buffer.from(row.path).toString('latin1'),
        Buffer.from(row.value).toString('latin1'),
      ]);
    const pair = (path: string) => [path, path];
    put('r', '', 'a', 'a/b', 'a/b/c', 'a-b', 'a0', 'a/\xff', 'b', '\xff\xff');
    put('other', 'a/x');
    expect(below('a')).toEqual(['a/b', 'a/b/c', 'a/\xff'].map(pair));
    expect(below('')).toEqual(['a', 'a-b', 'a/b', 'a/b/c', 'a/\xff', 'a0', 'b', '\xff\xff'].map(pair));
    const earlier = index.chunks.lossEpoch();
    const { pack, rows } = added(1);
    index.chunks.markBad(rows[0]!.id, pack.name, 'tag');
    expect(below('a', earlier)).toHaveLength(3);
    expect(below('a')).toEqual([]);
    put('r', 'a/b');
    expect(below('a')).toEqual([pair('a/b')]);
  });

  test('reads, folders, facts and claims', () => {
    const id = new Uint8Array(randomBytes(32));
    index.chunks.noteReads([id], 1_800_000_000_000_000_001n);
    expect(index.chunks.lastRead(id)).toBe(1_800_000_000_000_000_001n);
    const name = Buffer.from([0xff, 0x00, 0x0a]);
    index.folders.put('r', [{ path: name, value: Buffer.from('v1') }]);
    index.folders.put('r', [{ path: name, value: Buffer.from('v2') }]);
    expect(Buffer.from(index.folders.get('r', name)!.value).toString()).toBe('v2');
    expect(index.folders.get('other', name)).toBeUndefined();
    index.folders.clear('r');
    expect(index.folders.get('r', name)).toBeUndefined();
    expect(() => index.chunks.claim(99, [id])).toThrow(expect.objectContaining({ code: 'E_FAILED' }));
    expect(() =>
      index.transaction(() => {
        index.kv.set('a', 'b');
        throw new Error('undo');
      }),
    ).toThrow('undo');
    expect(index.kv.get('a')).toBeUndefined();
  });
});

/** An add of another owner that names one chunk. */
function holdFor(agent: string, id: Uint8Array): void {
  const { chain } = index.chainTable.add(agent, false);
  const form = { id, sealedSha256: new Uint8Array(32), sealedBytes: 9, keyId: 1, formClass: 'data' as const };
  index.holds.applyAdd(chain, 1, 1, [form], 'wanted');
}
