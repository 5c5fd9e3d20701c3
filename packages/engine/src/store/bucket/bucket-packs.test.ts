import { describe, expect, it } from 'vitest';
import { EdgeError } from '../../core/errors.ts';
import { createHastyClock } from '../../testing/fake-clock.ts';
import { createFaultyObjectStore, type Fault } from '../../testing/faulty-object-store.ts';
import { makePack, makeSealedChunk } from '../../testing/make-pack.ts';
import { createSeededRandom } from '../../testing/seeded-random.ts';
import { createSwappedObjectStore } from '../../testing/swapped-object-store.ts';
import { createMemoryObjectStore } from '../objects/memory.ts';
import { packKeyOf } from './bucket-layout.ts';
import { type ListedPack, openBucketPacks } from './bucket-packs.ts';

const vault = 'aa'.repeat(16);
const life = { agent: 'bb'.repeat(16), incarnation: 1 };
const random = createSeededRandom('bucket');
const newPack = (chunks = 5, bytes = 300) =>
  makePack(
    vault,
    Array.from({ length: chunks }, () => makeSealedChunk(random(bytes))),
  );

function over(plan: readonly Fault[] = [], withMd5 = true) {
  const memory = createMemoryObjectStore();
  const base = withMd5
    ? memory
    : {
        ...memory,
        capabilities: { ...memory.capabilities, statMd5: false },
        stat: async (key: string) => withoutMd5(await memory.stat(key)),
      };
  const store = createFaultyObjectStore(base, plan, { clock: createHastyClock(), random });
  return { memory, store, packs: openBucketPacks({ store, vault, life, requireIdentity: async () => {} }) };
}

function withoutMd5<T extends { md5?: string } | undefined>(stat: T) {
  return stat === undefined
    ? undefined
    : { key: (stat as { key?: string }).key ?? '', size: (stat as { size?: number }).size ?? 0 };
}

async function all(list: AsyncIterable<ListedPack>): Promise<ListedPack[]> {
  const found: ListedPack[] = [];
  for await (const pack of list) found.push(pack);
  return found;
}

describe('packs in a bucket', () => {
  it('are put, listed, and described by their own ends', async () => {
    const { packs, memory } = over();
    const made = [
      newPack(),
      newPack(1),
      newPack(2000, 40),
      makePack(vault, [makeSealedChunk(random(50), 'meta')], 'meta'),
    ];
    for (const [i, pack] of made.entries())
      await packs.put({ name: pack.name, packClass: i === 3 ? 'meta' : 'data' }, pack.body);
    await memory.put(`${vault}/foreign.txt`, random(10));
    const listed = await all(packs.list());
    expect(listed.map((pack) => pack.name).sort()).toEqual(made.map((pack) => pack.name).sort());
    for (const pack of made) {
      const entry = listed.find((one) => one.name === pack.name) as ListedPack;
      expect(entry.bytes).toBe(pack.body.length);
      const contents = await packs.readContents(entry);
      expect(contents?.frames.map((frame) => ({ ...frame, identified: true }))).toEqual(pack.frames);
    }
  });

  it('are read in one to three small requests', async () => {
    const { packs, store } = over();
    const [small, large] = [newPack(100), newPack(2000, 40)];
    for (const pack of [small, large]) await packs.put({ name: pack.name, packClass: 'data' }, pack.body);
    store.calls.get = 0;
    await packs.readContents({ ...life, packClass: 'data', name: small.name, bytes: small.body.length });
    expect(store.calls.get).toBe(1);
    await packs.readContents({ ...life, packClass: 'data', name: large.name, bytes: large.body.length });
    expect(store.calls.get).toBe(3);
  });

  it('are found in the prefix of an earlier life and of another agent', async () => {
    const { memory, packs } = over();
    const pack = newPack();
    const old = openBucketPacks({
      store: memory,
      vault,
      life: { agent: 'cc'.repeat(16), incarnation: 3 },
      requireIdentity: async () => {},
    });
    await old.put({ name: pack.name, packClass: 'data' }, pack.body);
    expect(
      Buffer.from(
        (await packs.readRange({ name: pack.name, packClass: 'data' }, { offset: 0, length: 8 })) ?? [],
      ).toString(),
    ).toBe('EDGEPACK');
    expect(
      await packs.readRange({ name: '00'.repeat(32), packClass: 'data' }, { offset: 0, length: 8 }),
    ).toBeUndefined();
  });

  it('of an earlier life are not absent for good because of one look at another place', async () => {
    const { memory } = over();
    const store = createSwappedObjectStore(memory);
    const pack = newPack();
    const old = { store: memory, vault, life: { ...life, incarnation: 3 }, requireIdentity: async () => {} };
    await openBucketPacks(old).put({ name: pack.name, packClass: 'data' }, pack.body);
    let isThere = false;
    const packs = openBucketPacks({
      store,
      vault,
      life,
      requireIdentity: async () => {
        if (!isThere) throw new EdgeError('E_NO_BUCKET', 'another place');
      },
    });
    const read = () => packs.readRange({ name: pack.name, packClass: 'data' }, { offset: 0, length: 8 });
    store.swap(createMemoryObjectStore(), 0);
    await expect(read()).rejects.toMatchObject({ code: 'E_NO_BUCKET' });
    store.swap(memory, 0);
    isThere = true;
    expect((await read())?.length).toBe(8);
  });

  it('of another life are not deleted', async () => {
    const { packs } = over();
    await expect(
      packs.delete({ ...life, incarnation: 2, packClass: 'data', name: '00'.repeat(32) }),
    ).rejects.toMatchObject({
      code: 'E_USAGE',
    });
  });

  for (const withMd5 of [true, false]) {
    const how = withMd5 ? 'by the store’s MD5' : 'by reading back';
    it(`are verified ${how} after the put`, async () => {
      const pack = newPack();
      const lies: Fault['effect'][] = [{ kind: 'lie' }, { kind: 'flip' }, { kind: 'truncate', bytes: 100 }];
      for (const effect of lies) {
        const { packs } = over([{ verb: 'put', nth: 1, effect }], withMd5);
        await expect(packs.put({ name: pack.name, packClass: 'data' }, pack.body), effect.kind).rejects.toMatchObject({
          code: 'E_INTEGRITY',
        });
        await packs.put({ name: pack.name, packClass: 'data' }, pack.body);
      }
    });
  }

  it('are not taken for verified when the look itself fails', async () => {
    const pack = newPack();
    const { packs } = over([{ verb: 'stat', effect: { kind: 'error' } }]);
    await expect(packs.put({ name: pack.name, packClass: 'data' }, pack.body)).rejects.toMatchObject({
      code: 'E_STORE',
    });
  });

  it('that are damaged are never described', async () => {
    const { memory, packs } = over();
    const pack = newPack();
    const key = packKeyOf(vault, { ...life, packClass: 'data', name: pack.name });
    const entry: ListedPack = { ...life, packClass: 'data', name: pack.name, bytes: pack.body.length };
    for (let at = pack.body.length - pack.tail.length; at < pack.body.length; at += 7) {
      const spoilt = Uint8Array.from(pack.body);
      spoilt[at] = (spoilt[at] ?? 0) ^ 0x40;
      await memory.put(key, spoilt);
      await expect(packs.readContents(entry), String(at)).rejects.toMatchObject({
        exitCode: expect.toSatisfy((code) => code === 7 || code === 16),
      });
    }
    for (const cut of [0, 1, 63, 64, 127, pack.body.length - 1]) {
      await memory.put(key, pack.body.subarray(0, cut));
      await expect(packs.readContents({ ...entry, bytes: cut }), String(cut)).rejects.toMatchObject({
        code: 'E_INTEGRITY',
      });
      await expect(packs.readContents(entry), String(cut)).rejects.toMatchObject({ code: 'E_INTEGRITY' });
    }
    const other = newPack();
    await memory.put(key, other.body);
    await expect(packs.readContents({ ...entry, bytes: other.body.length })).rejects.toMatchObject({
      code: 'E_INTEGRITY',
    });
  });
});
