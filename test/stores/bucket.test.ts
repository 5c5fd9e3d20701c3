/** Packs in a real S3 engine: put and verified, described by their ends, read in ranges, and what is spoilt there told. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toHex } from '../../packages/engine/src/core/ids.ts';
import { packKeyOf } from '../../packages/engine/src/store/bucket/bucket-layout.ts';
import { learnPacks } from '../../packages/engine/src/store/bucket/learn-packs.ts';
import { openBucket } from '../../packages/engine/src/store/bucket/open-bucket.ts';
import { createStoreCounts } from '../../packages/engine/src/store/objects/measured.ts';
import { openObjectStore } from '../../packages/engine/src/store/objects/open-object-store.ts';
import { makePack, makeSealedChunk } from '../../packages/engine/src/testing/make-pack.ts';
import { realClock } from '../../packages/engine/src/testing/real-clock.ts';
import { createSeededRandom } from '../../packages/engine/src/testing/seeded-random.ts';
import { openStore, temporaryFolder } from '../../packages/engine/src/testing/store-fixture.ts';
import { newBucket, type S3ForTests, s3ForTests } from '../support/s3-for-tests.ts';
import { tempFolders } from '../support/temp-folder.ts';

const folder = tempFolders('bucket');
const random = createSeededRandom('bucket');
const vault = 'ab'.repeat(16);
const life = { agent: 'cd'.repeat(16), incarnation: 1 };
let s3: S3ForTests;
beforeAll(async () => {
  s3 = await s3ForTests(folder());
});
afterAll(() => s3?.stop());

describe('a bucket', () => {
  it('takes packs, tells its index again, and gives every frame in few requests', async () => {
    const counts = createStoreCounts();
    const store = openObjectStore(
      { name: 'cold', url: `s3://${await newBucket(s3)}/edge`, endpoint: s3.endpoint },
      { clock: realClock, random, counts, credentials: s3.keys },
    );
    const disk = temporaryFolder();
    const opened = await openStore(disk.path);
    const { chunks } = opened.index;
    const bucket = openBucket({ name: 'cold', store, vault, life }, { index: chunks, kv: opened.index.kv });
    const packs = [20, 1, 300].map((count) =>
      makePack(
        vault,
        Array.from({ length: count }, () => makeSealedChunk(random(40_000))),
      ),
    );
    await bucket.vault.putDescriptor(Buffer.from('the vault lies here'));
    const before = { ...counts.calls };
    for (const pack of packs) await bucket.packs.put({ name: pack.name, packClass: 'data' }, pack.body);
    // Each is verified by a HEAD, behind a look at whose place it is.
    expect([counts.calls.put - before.put, counts.calls.stat - before.stat, counts.calls.get - before.get]).toEqual([
      3, 6, 0,
    ]);

    expect(await learnPacks(bucket, life.agent, { index: chunks, nowNs: 1n })).toEqual({
      added: 3,
      gone: [],
      damaged: [],
    });
    const frames = packs.flatMap((pack) => pack.frames);
    const addresses = (await bucket.source.locate(frames.map(({ id }) => id))).filter(
      (address) => address !== undefined,
    );
    expect(addresses.length).toBe(321);
    counts.calls.get = 0;
    const got = new Map<string, Uint8Array>();
    for await (const answer of bucket.source.fetch(addresses))
      if ('sealed' in answer) got.set(toHex(answer.address.id), answer.sealed);
    for (const pack of packs) {
      for (const { id, offset, sealedBytes } of pack.frames) {
        expect(
          Buffer.compare(got.get(toHex(id)) ?? new Uint8Array(), pack.body.subarray(offset, offset + sealedBytes)),
        ).toBe(0);
      }
    }
    expect(counts.calls.get).toBeLessThanOrEqual(4);

    const [spoilt, gone] = packs;
    await store.put(packKeyOf(vault, { ...life, packClass: 'data', name: spoilt?.name ?? '' }), random(10_000));
    await store.delete(packKeyOf(vault, { ...life, packClass: 'data', name: gone?.name ?? '' }));
    const misses: string[] = [];
    for await (const answer of bucket.source.fetch(addresses)) if ('reason' in answer) misses.push(answer.reason);
    expect(misses.filter((reason) => reason === 'damaged').length).toBe(20);
    expect(misses.filter((reason) => reason === 'absent').length).toBe(1);
    expect(chunks.counts().badCopies).toBe(21);
    // An object of another length than was put is no copy of the pack.
    const learned = await learnPacks(bucket, life.agent, { index: chunks, nowNs: 1n });
    expect([...learned.gone].sort()).toEqual([gone?.name, spoilt?.name].sort());
    opened.close();
    disk.remove();
  });
});
