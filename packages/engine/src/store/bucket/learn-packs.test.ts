import { expect, it } from 'vitest';
import { EdgeError } from '../../core/errors.ts';
import { MADE_NS, makePack, makeSealedChunk } from '../../testing/make-pack.ts';
import { createSeededRandom } from '../../testing/seeded-random.ts';
import { FIXTURE_VAULT, openStore, temporaryFolder } from '../../testing/store-fixture.ts';
import { createMemoryObjectStore } from '../objects/memory.ts';
import { packKeyOf } from './bucket-layout.ts';
import { openBucketPacks } from './bucket-packs.ts';
import { learnPacks } from './learn-packs.ts';

const life = { agent: 'bb'.repeat(16), incarnation: 1 };

async function setUp() {
  const folder = temporaryFolder();
  const store = await openStore(folder.path);
  const random = createSeededRandom('learn');
  const memory = createMemoryObjectStore();
  const packs = openBucketPacks({ store: memory, vault: FIXTURE_VAULT, life, requireIdentity: async () => {} });
  const made = [300, 400].map((bytes) => makePack(FIXTURE_VAULT, [makeSealedChunk(random(bytes))]));
  for (const { name, body } of made) await packs.put({ name, packClass: 'data' }, body);
  const place = { isRight: true };
  const bucket = {
    name: 'archive',
    label: 's3://archive',
    packs,
    requireIdentity: async () => {
      if (!place.isRight) throw new EdgeError('E_NO_BUCKET', 'nothing of this vault');
    },
  };
  const learn = (nowNs = 2n * MADE_NS) => learnPacks(bucket, life.agent, { index: store.index.chunks, nowNs });
  const keyOf = (n: number) => packKeyOf(FIXTURE_VAULT, { ...life, packClass: 'data', name: made[n]!.name });
  const end = (): void => {
    store.close();
    folder.remove();
  };
  return { store, memory, made, place, learn, keyOf, end, index: store.index.chunks };
}

it('a pack that is learned again is as old as it says itself, and never from the future', async () => {
  const { learn, index, made, end } = await setUp();
  await learn();
  expect(index.packs('archive').map((pack) => pack.createdNs)).toEqual([MADE_NS, MADE_NS]);
  for (const { name } of made) index.forgetPack(name, 'archive');
  await learn(MADE_NS / 2n);
  expect(index.packs('archive').map((pack) => pack.createdNs)).toEqual([MADE_NS / 2n, MADE_NS / 2n]);
  end();
});

it('a pack that is gone is a loss until it is there again', async () => {
  const { learn, index, memory, made, keyOf, end } = await setUp();
  await learn();
  await memory.delete(keyOf(0));
  expect((await learn()).gone).toEqual([made[0]!.name]);
  const id = made[0]!.frames[0]!.id;
  expect(index.locate([id])).toEqual([[]]);
  expect(index.losses()).toMatchObject([{ store: 'archive', reason: 'absent', chunks: 1, nowhere: 1, packs: 1 }]);
  await memory.put(keyOf(0), made[0]!.body);
  await learn();
  expect(index.losses()).toEqual([]);
  expect(index.locate([id])[0]).toMatchObject([{ store: 'archive' }]);
  end();
});

it('nothing is gone from a place that is not the one that packs were put into', async () => {
  const { learn, index, memory, place, keyOf, end } = await setUp();
  await learn();
  for (const n of [0, 1]) await memory.delete(keyOf(n));
  place.isRight = false;
  await expect(learn()).rejects.toMatchObject({ code: 'E_NO_BUCKET' });
  expect(index.losses()).toEqual([]);
  end();
});
