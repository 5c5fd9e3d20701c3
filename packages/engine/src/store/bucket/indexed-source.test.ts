/** What reading a bucket by the index's rows does to the marks of its copies. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { EdgeError } from '../../core/errors.ts';
import type { SealedSource } from '../../core/ports/sealed-source.ts';
import { MADE_NS, type MadePack, makePack, makeSealedChunk } from '../../testing/make-pack.ts';
import { createSeededRandom } from '../../testing/seeded-random.ts';
import { FIXTURE_VAULT, type OpenedStore, openStore, temporaryFolder } from '../../testing/store-fixture.ts';
import { createMemoryObjectStore } from '../objects/memory.ts';
import { packKeyOf } from './bucket-layout.ts';
import { openBucketPacks } from './bucket-packs.ts';
import { createIndexedSource } from './indexed-source.ts';

const life = { agent: 'bb'.repeat(16), incarnation: 1 };
const chunks = ['one', 'two'].map((name) => makeSealedChunk(createSeededRandom(name)(500)));
const pack: MadePack = makePack(FIXTURE_VAULT, chunks);
const key = packKeyOf(FIXTURE_VAULT, { ...life, packClass: 'data', name: pack.name });

let folder: ReturnType<typeof temporaryFolder>;
let store: OpenedStore;
let objects: ReturnType<typeof createMemoryObjectStore>;
let source: SealedSource;
let isOther: boolean;

beforeEach(async () => {
  folder = temporaryFolder();
  store = await openStore(folder.path);
  objects = createMemoryObjectStore();
  isOther = false;
  const packs = openBucketPacks({ store: objects, vault: FIXTURE_VAULT, life, requireIdentity: async () => {} });
  await packs.put({ name: pack.name, packClass: 'data' }, pack.body);
  const bytes = pack.body.length;
  store.index.chunks.addPack(
    { name: pack.name, store: 'b', packClass: 'data', bytes, frames: chunks.length, createdNs: MADE_NS },
    pack.frames,
  );
  const requireIdentity = async (): Promise<void> => {
    if (isOther) throw new EdgeError('E_NO_BUCKET', 'nothing of this vault lies there');
  };
  source = createIndexedSource({ name: 'b', packs, requireIdentity }, store.index.chunks);
});
afterEach(() => {
  store.close();
  folder.remove();
});

/** Reads all chunks; says what is counted of them afterwards. */
async function read(): Promise<(string | undefined)[]> {
  const addresses = (await source.locate(chunks.map(({ id }) => id))).filter((address) => address !== undefined);
  expect(addresses).toHaveLength(chunks.length);
  for await (const _ of source.fetch(addresses));
  return marks();
}

const marks = (): (string | undefined)[] =>
  store.index.chunks.allCopies(chunks.map(({ id }) => id)).map(([copy]) => copy!.marked);

it('lifts the mark of a copy that is good again, and of no other one', async () => {
  await objects.delete(key);
  expect(await read()).toEqual(['absent', 'absent']);
  const other = new Uint8Array(pack.body);
  other[pack.frames[1]!.offset + 7]! ^= 1;
  await objects.put(key, other);
  expect(await read()).toEqual([undefined, 'absent']);
});

it('marks nothing while another place answers', async () => {
  await objects.delete(key);
  isOther = true;
  await expect(read()).rejects.toMatchObject({ code: 'E_NO_BUCKET' });
  expect(marks()).toEqual([undefined, undefined]);
});
