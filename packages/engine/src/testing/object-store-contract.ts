/** What every object store must do; drivers and wrappers run it with a factory. Import it from tests only: it needs vitest. */
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { EdgeError } from '../core/errors.ts';
import type { ObjectStat, ObjectStore } from '../core/ports/object-store.ts';
import { createSeededRandom } from './seeded-random.ts';

export interface ObjectStoreContract {
  /** A store of its own for each test: empty, whatever other tests left behind. */
  readonly open: () => Promise<ObjectStore>;
  /** Objects in the listing test. More than 1000 makes S3 answer in pages. */
  readonly manyObjects?: number;
}

export function objectStoreContract(name: string, contract: ObjectStoreContract): void {
  const random = createSeededRandom(name);
  const bytes = (length: number) => random(length);
  const md5 = (body: Uint8Array) => createHash('md5').update(body).digest('hex');
  const { open } = contract;

  describe(`${name} keeps the object store contract`, () => {
    it('gives back what was put, whole and as a copy', async () => {
      const store = await open();
      const body = bytes(100_000);
      const sent = Uint8Array.from(body);
      await store.put('a/b/c.pack', sent);
      sent.fill(0);
      const got = await store.get('a/b/c.pack');
      expect(same(got, body)).toBe(true);
      got?.fill(0);
      expect(same(await store.get('a/b/c.pack'), body)).toBe(true);
    });

    it('keeps an empty object', async () => {
      const store = await open();
      await store.put('empty', new Uint8Array(0));
      expect((await store.get('empty'))?.length).toBe(0);
      expect((await store.stat('empty'))?.size).toBe(0);
      expect(await keys(store, '')).toEqual(['empty']);
    });

    it('keeps an object of several MiB', async () => {
      const store = await open();
      const body = bytes(6 * 1024 * 1024 + 17);
      await store.put('large', body);
      expect(same(await store.get('large'), body)).toBe(true);
    });

    it('answers undefined for what is absent', async () => {
      const store = await open();
      await store.put('there', bytes(1));
      expect(await store.get('absent')).toBeUndefined();
      expect(await store.get('absent', { range: { offset: 0, length: 1 } })).toBeUndefined();
      expect(await store.get('absent', { range: { offset: 0, length: 0 } })).toBeUndefined();
      expect(await store.stat('absent')).toBeUndefined();
      expect(await store.get('there/below')).toBeUndefined();
      expect(await store.stat('there/below')).toBeUndefined();
    });

    it('does not take the beginning of a key for an object', async () => {
      const store = await open();
      await store.put('folder/object', bytes(3));
      expect(await store.get('folder')).toBeUndefined();
      expect(await store.stat('folder')).toBeUndefined();
      await store.delete('folder/objec');
      expect(await keys(store, '')).toEqual(['folder/object']);
    });

    it('reads exact ranges', async () => {
      const store = await open();
      const body = bytes(10_000);
      await store.put('ranged', body);
      for (const [offset, length] of [
        [0, 1],
        [0, 10_000],
        [9_999, 1],
        [1_234, 5_678],
        [77, 0],
        [10_000, 0],
      ] as const) {
        const got = await store.get('ranged', { range: { offset, length } });
        expect(same(got, body.subarray(offset, offset + length)), `${length} from ${offset}`).toBe(true);
      }
    });

    it('refuses a range past the end instead of giving less', async () => {
      const store = await open();
      await store.put('short', bytes(100));
      for (const range of [
        { offset: 0, length: 101 },
        { offset: 99, length: 2 },
        { offset: 100, length: 1 },
        { offset: 5_000, length: 5 },
      ]) {
        await expect(store.get('short', { range })).rejects.toMatchObject({ code: 'E_INTEGRITY' });
      }
      await expect(store.get('short', { range: { offset: -1, length: 5 } })).rejects.toMatchObject({ code: 'E_USAGE' });
      await expect(store.get('short', { range: { offset: 0, length: 1.5 } })).rejects.toMatchObject({
        code: 'E_USAGE',
      });
    });

    it('replaces an object whole', async () => {
      const store = await open();
      const second = bytes(10);
      await store.put('k', bytes(1000));
      await store.put('k', second);
      expect(same(await store.get('k'), second)).toBe(true);
      expect((await store.stat('k'))?.size).toBe(10);
    });

    it('tells size, and the md5 where it can', async () => {
      const store = await open();
      const body = bytes(12_345);
      await store.put('sized', body);
      const found = await store.stat('sized');
      expect(found?.key).toBe('sized');
      expect(found?.size).toBe(12_345);
      if (store.capabilities.statMd5) expect(found?.md5).toBe(md5(body));
      else expect(found?.md5).toBeUndefined();
    });

    it('lists every key below a prefix in byte order, and nothing else', async () => {
      const store = await open();
      const all = ['a-b', 'a.b', 'a/b', 'a/b.c/d', 'a/bc', 'a0', 'aB', 'b/c/d/e', 'b/c/d0', 'z'];
      for (const key of [...all].reverse()) await store.put(key, bytes(key.length));
      expect(await keys(store, '')).toEqual([...all].sort());
      expect(await keys(store, 'a/')).toEqual(['a/b', 'a/b.c/d', 'a/bc']);
      expect(await keys(store, 'a/b')).toEqual(['a/b', 'a/b.c/d', 'a/bc']);
      expect(await keys(store, 'b/c/d/')).toEqual(['b/c/d/e']);
      expect(await keys(store, 'a')).toEqual(['a-b', 'a.b', 'a/b', 'a/b.c/d', 'a/bc', 'a0', 'aB']);
      expect(await keys(store, 'nothing/here')).toEqual([]);
      for await (const stat of store.list('a/')) expect(stat.size).toBe(stat.key.length);
      expect(await keys(store, 'a', 'a/b')).toEqual(['a/b.c/d', 'a/bc', 'a0', 'aB']);
      expect(await keys(store, '', 'a/b.c')).toEqual(['a/b.c/d', 'a/bc', 'a0', 'aB', 'b/c/d/e', 'b/c/d0', 'z']);
      expect(await keys(store, 'a/', 'a/b.c/d0')).toEqual(['a/bc']);
      expect(await keys(store, 'a/', 'b')).toEqual([]);
    });

    it('lists more than one page', async () => {
      const store = await open();
      const many = contract.manyObjects ?? 1_100;
      const all = Array.from({ length: many }, (_, i) => `page/${String(i).padStart(6, '0')}`);
      for (let i = 0; i < all.length; i += 50)
        await Promise.all(all.slice(i, i + 50).map((key) => store.put(key, new Uint8Array(1))));
      expect(await keys(store, 'page/')).toEqual(all);
    }, 60_000);

    it('deletes, and deleting what is absent is no error', async () => {
      const store = await open();
      await store.put('gone/soon', bytes(5));
      await store.delete('gone/soon');
      await store.delete('gone/soon');
      await store.delete('never/was');
      expect(await store.get('gone/soon')).toBeUndefined();
      expect(await keys(store, '')).toEqual([]);
    });

    it('keeps a put of ifAbsent from replacing', async () => {
      const store = await open();
      if (!store.capabilities.conditionalPut) return;
      const first = bytes(50);
      await store.put('once', first, { ifAbsent: true });
      await expect(store.put('once', bytes(50), { ifAbsent: true })).rejects.toMatchObject({ code: 'E_BUSY' });
      expect(same(await store.get('once'), first)).toBe(true);
      await store.delete('once');
      await store.put('once', bytes(51), { ifAbsent: true });
      expect((await store.stat('once'))?.size).toBe(51);
    });

    it('has exactly one winner among racing ifAbsent puts', async () => {
      const store = await open();
      if (!store.capabilities.conditionalPut) return;
      for (let round = 0; round < 5; round++) {
        const bodies = Array.from({ length: 8 }, () => bytes(200));
        const outcomes = await Promise.allSettled(
          bodies.map((body) => store.put(`race/${round}`, body, { ifAbsent: true })),
        );
        const winners = outcomes.flatMap((outcome, i) => (outcome.status === 'fulfilled' ? [i] : []));
        expect(winners.length).toBe(1);
        for (const outcome of outcomes) {
          if (outcome.status === 'rejected') expect((outcome.reason as EdgeError).code).toBe('E_BUSY');
        }
        expect(same(await store.get(`race/${round}`), bodies[winners[0] ?? -1] ?? new Uint8Array(0))).toBe(true);
      }
    });

    it('shows readers the old object or the new one, never a mixture', async () => {
      const store = await open();
      const versions = [bytes(200_000), bytes(300_000)];
      await store.put('swap', versions[0] ?? new Uint8Array(0));
      const writing = (async () => {
        for (let i = 1; i <= 6; i++) await store.put('swap', versions[i % 2] ?? new Uint8Array(0));
      })();
      for (let i = 0; i < 12; i++) {
        const got = await store.get('swap');
        expect(versions.some((version) => same(got, version))).toBe(true);
      }
      await writing;
    });

    it('refuses keys that not every store can keep', async () => {
      const store = await open();
      for (const key of [
        '',
        '/',
        '/a',
        'a/',
        'a//b',
        '.',
        '..',
        'a/../b',
        './a',
        'a/.',
        'ä',
        'a b',
        'a\nb',
        'a\0b',
        'x'.repeat(2_000),
      ]) {
        await expect(store.put(key, bytes(1)), JSON.stringify(key)).rejects.toMatchObject({ code: 'E_USAGE' });
        await expect(store.get(key), JSON.stringify(key)).rejects.toMatchObject({ code: 'E_USAGE' });
        await expect(store.stat(key), JSON.stringify(key)).rejects.toMatchObject({ code: 'E_USAGE' });
        await expect(store.delete(key), JSON.stringify(key)).rejects.toMatchObject({ code: 'E_USAGE' });
      }
      await expect(keys(store, '../')).rejects.toMatchObject({ code: 'E_USAGE' });
      await expect(keys(store, '/a')).rejects.toMatchObject({ code: 'E_USAGE' });
    });

    it('stops when it is told to before it begins', async () => {
      const store = await open();
      const signal = AbortSignal.abort(new EdgeError('E_INTERRUPTED', 'stop'));
      await expect(store.put('a', bytes(1), { signal })).rejects.toMatchObject({ code: 'E_INTERRUPTED' });
      await expect(store.get('a', { signal })).rejects.toMatchObject({ code: 'E_INTERRUPTED' });
      expect(await store.get('a')).toBeUndefined();
    });
  });
}

function same(a: Uint8Array | undefined, b: Uint8Array): boolean {
  return a !== undefined && Buffer.compare(a, b) === 0;
}

async function keys(store: ObjectStore, prefix: string, after?: string): Promise<string[]> {
  const found: ObjectStat[] = [];
  for await (const stat of store.list(prefix, after === undefined ? {} : { after })) found.push(stat);
  return found.map((stat) => stat.key);
}
