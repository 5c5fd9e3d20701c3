import { describe, expect, it } from 'vitest';
import { EdgeError } from '../../core/errors.ts';
import { toHex } from '../../core/ids.ts';
import type { SealedFrame, SealedMiss } from '../../core/ports/sealed-source.ts';
import { createHastyClock } from '../../testing/fake-clock.ts';
import { createFaultyObjectStore } from '../../testing/faulty-object-store.ts';
import { type MadePack, makePack, makeSealedChunk } from '../../testing/make-pack.ts';
import { createSeededRandom } from '../../testing/seeded-random.ts';
import { createMemoryObjectStore } from '../objects/memory.ts';
import { packKeyOf } from './bucket-layout.ts';
import { openBucketPacks } from './bucket-packs.ts';
import { type BucketAddress, createBucketSource } from './bucket-source.ts';

const vault = 'aa'.repeat(16);
const life = { agent: 'bb'.repeat(16), incarnation: 1 };
const random = createSeededRandom('source');

async function setUp(sizes: readonly (readonly number[])[]) {
  const memory = createMemoryObjectStore();
  const store = createFaultyObjectStore(memory, [], { clock: createHastyClock(), random });
  const packs = openBucketPacks({ store, vault, life, requireIdentity: async () => {} });
  const sealed = new Map<string, Uint8Array>();
  const addresses: BucketAddress[] = [];
  const made: MadePack[] = [];
  for (const inPack of sizes) {
    const chunks = inPack.map((size) => makeSealedChunk(random(size)));
    const pack = makePack(vault, chunks);
    made.push(pack);
    await packs.put({ name: pack.name, packClass: 'data' }, pack.body);
    for (const [i, frame] of pack.frames.entries()) {
      sealed.set(toHex(frame.id), chunks[i]?.bytes ?? new Uint8Array());
      addresses.push({
        id: frame.id,
        keyId: frame.keyId,
        sealedBytes: frame.sealedBytes,
        pack: pack.name,
        packClass: 'data',
        offset: frame.offset,
      });
    }
  }
  const bad: string[] = [];
  const strange = { is: false };
  const byId = new Map(addresses.map((address) => [toHex(address.id), address]));
  const source = createBucketSource({
    packs,
    locate: (ids) => ids.map((id) => byId.get(toHex(id))),
    requireIdentity: async () => {
      if (strange.is) throw new EdgeError('E_NO_BUCKET', 'another place');
    },
    mark: (marks) => {
      for (const { id, reason } of marks) bad.push(`${reason} ${toHex(id)}`);
    },
  });
  store.calls.get = 0;
  return { memory, store, made, sealed, addresses, source, bad, strange };
}

async function collect(list: AsyncIterable<SealedFrame | SealedMiss>) {
  const frames = new Map<string, Uint8Array>();
  const misses = new Map<string, string>();
  for await (const one of list) {
    if ('sealed' in one) frames.set(toHex(one.address.id), one.sealed);
    else misses.set(toHex(one.address.id), one.reason);
  }
  return { frames, misses };
}

describe('the bucket as a source', () => {
  it('gives every frame once, neighbours in one request', async () => {
    const { source, addresses, sealed, store } = await setUp([Array(200).fill(1000), [5, 6], [100_000]]);
    const shuffled = addresses.toSorted((a, b) => Buffer.compare(a.id, b.id));
    const { frames, misses } = await collect(source.fetch(shuffled));
    expect(misses.size).toBe(0);
    expect(frames.size).toBe(203);
    for (const [id, bytes] of sealed) expect(Buffer.compare(frames.get(id) ?? new Uint8Array(), bytes)).toBe(0);
    expect(store.calls.get).toBe(3);
  });

  it('bounds the bytes of a request and skips long gaps', async () => {
    const { source, addresses, store } = await setUp([Array(6).fill(3_000_000)]);
    await collect(source.fetch(addresses));
    expect(store.calls.get).toBe(3);
    store.calls.get = 0;
    await collect(source.fetch([addresses[0], addresses[5]].filter((one) => one !== undefined)));
    expect(store.calls.get).toBe(2);
  });

  it('finds addresses that came without a place', async () => {
    const { source, addresses } = await setUp([[10, 20]]);
    const bare = addresses.map(({ id, keyId, sealedBytes }) => ({ id, keyId, sealedBytes }));
    expect((await collect(source.fetch(bare))).frames.size).toBe(2);
    const unknown = { id: new Uint8Array(32), keyId: 1, sealedBytes: 5 };
    expect((await collect(source.fetch([unknown]))).misses.get('00'.repeat(32))).toBe('absent');
  });

  it('says which frames are damaged or gone, and goes on with the rest', async () => {
    const { source, addresses, memory, made, bad } = await setUp([[500, 500, 500], [100], [100]]);
    const [first, second, third] = made as [MadePack, MadePack, MadePack];
    // The first pack lost its end, the second is another one, the third is gone.
    await memory.put(
      packKeyOf(vault, { ...life, packClass: 'data', name: first.name }),
      first.body.subarray(0, (first.frames[1]?.offset ?? 0) + 500),
    );
    await memory.put(
      packKeyOf(vault, { ...life, packClass: 'data', name: second.name }),
      makePack(vault, [makeSealedChunk(random(300))]).body,
    );
    await memory.delete(packKeyOf(vault, { ...life, packClass: 'data', name: third.name }));
    const { frames, misses } = await collect(source.fetch(addresses));
    expect(frames.size).toBe(2);
    expect([...misses.values()].sort()).toEqual(['absent', 'damaged', 'damaged']);
    expect(bad.map((mark) => mark.split(' ')[0]).sort()).toEqual(['absent', 'damaged', 'damaged']);
  });

  it('calls nothing absent in a place that is not the one that packs were put into', async () => {
    const { source, addresses, memory, made, bad, strange } = await setUp([[100]]);
    await memory.delete(packKeyOf(vault, { ...life, packClass: 'data', name: made[0]!.name }));
    strange.is = true;
    await expect(collect(source.fetch(addresses))).rejects.toMatchObject({ code: 'E_NO_BUCKET' });
    expect(bad).toEqual([]);
  });

  it('throws when the bucket cannot be asked, and infers no absence from it', async () => {
    const { source, addresses, store, bad } = await setUp([[10]]);
    store.setPlan([{ verb: 'get', effect: { kind: 'error' } }]);
    await expect(collect(source.fetch(addresses))).rejects.toMatchObject({ code: 'E_STORE', retryable: true });
    expect(bad).toEqual([]);
  });

  it('can be left before its end', async () => {
    const { source, addresses } = await setUp([Array(6).fill(3_000_000)]);
    for await (const one of source.fetch(addresses)) {
      expect('sealed' in one).toBe(true);
      break;
    }
  });
});
