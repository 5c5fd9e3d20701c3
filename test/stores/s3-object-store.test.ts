/** The S3 driver keeps the object store contract on a real gateway (where there is one) and on the project's own server. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isEdgeError } from '../../packages/engine/src/core/errors.ts';
import { openObjectStore } from '../../packages/engine/src/store/objects/open-object-store.ts';
import { createS3ObjectStore } from '../../packages/engine/src/store/objects/s3/s3-object-store.ts';
import { objectStoreContract } from '../../packages/engine/src/testing/object-store-contract.ts';
import { realClock } from '../../packages/engine/src/testing/real-clock.ts';
import { createSeededRandom } from '../../packages/engine/src/testing/seeded-random.ts';
import { isRadosGatewayInstalled } from '../support/rados-gateway.ts';
import { gatewayForTests, newBucket, ownServerForTests, type S3ForTests } from '../support/s3-for-tests.ts';
import { tempFolders } from '../support/temp-folder.ts';

const folder = tempFolders('s3-driver');
const random = createSeededRandom('s3');
const mayInstall = process.env.EDGESTORE_TEST_INSTALL === '1';

describe.skipIf(!mayInstall && !isRadosGatewayInstalled())('with the RADOS gateway', () => {
  suite('the S3 driver on the RADOS gateway', () => gatewayForTests(folder()));
});
describe('with the project’s own server', () => {
  suite('the S3 driver on the project’s own server', () => ownServerForTests(folder()));
});

function suite(name: string, start: () => Promise<S3ForTests | undefined>): void {
  let s3: S3ForTests;
  beforeAll(async () => {
    const started = await start();
    if (started === undefined) throw new Error('no S3 engine');
    s3 = started;
  });
  afterAll(() => s3?.stop());
  const address = async (prefix: string) => ({
    bucket: await newBucket(s3),
    prefix,
    endpoint: s3.endpoint,
    credentials: s3.keys,
  });
  const deps = () => ({
    clock: realClock,
    random,
    credentials: s3.keys,
    retry: { triesMax: 2, firstDelayMs: 1, delayMsMax: 1, retriesMax: 5, retriesPerSecond: 1 },
  });

  objectStoreContract(name, {
    open: async () => createS3ObjectStore({ address: await address('some/prefix') }, { clock: realClock }),
  });
  objectStoreContract(`${name}, with its wrappers and the whole bucket`, {
    manyObjects: 60,
    open: async () =>
      openObjectStore({ name: 'test', url: `s3://${await newBucket(s3)}`, endpoint: s3.endpoint }, deps()),
  });

  it('keeps prefixes of one bucket apart', async () => {
    const bucket = await newBucket(s3);
    const at = (prefix: string) =>
      openObjectStore({ name: 'test', url: `s3://${bucket}/${prefix}`, endpoint: s3.endpoint }, deps());
    await at('a').put('k', Buffer.from('in a'));
    await at('ab').put('k', Buffer.from('in ab'));
    const keys = [];
    for await (const found of at('a').list('')) keys.push(found.key);
    expect(keys).toEqual(['k']);
    expect(Buffer.from((await at('ab').get('k')) ?? []).toString()).toBe('in ab');
  });

  it('says that there is no such bucket, whatever is asked first', async () => {
    const store = () =>
      openObjectStore({ name: 'test', url: 's3://no-such-bucket-anywhere/p', endpoint: s3.endpoint }, deps());
    const asked = {
      put: () => store().put('k', Buffer.from('x')),
      get: () => store().get('k'),
      stat: () => store().stat('k'),
      list: () => store().list('')[Symbol.asyncIterator]().next(),
    };
    for (const [verb, ask] of Object.entries(asked))
      await expect(ask(), verb).rejects.toMatchObject({ code: 'E_NO_BUCKET', exitCode: 10, retryable: false });
  });

  it('names the action and the permission when it is refused', async () => {
    const bucket = await newBucket(s3);
    const store = openObjectStore(
      { name: 'test', url: `s3://${bucket}`, endpoint: s3.endpoint },
      { ...deps(), credentials: s3.otherKeys },
    );
    await expect(store.put('k', Buffer.from('x'))).rejects.toMatchObject({
      code: 'E_DENIED',
      exitCode: 14,
      context: { permission: 's3:PutObject' },
    });
    await expect(store.get('k')).rejects.toThrow(/s3:GetObject/);
    await expect(store.stat('k')).rejects.toThrow(/s3:GetObject/);
    await expect(store.delete('k')).rejects.toThrow(/s3:DeleteObject/);
    await expect(store.list('')[Symbol.asyncIterator]().next()).rejects.toThrow(/s3:ListBucket/);
  });

  it('tells a wrong secret and an unknown key from a missing permission', async () => {
    const bucket = await newBucket(s3);
    const store = (credentials: { accessKeyId: string; secretAccessKey: string }) =>
      openObjectStore({ name: 'test', url: `s3://${bucket}`, endpoint: s3.endpoint }, { ...deps(), credentials });
    await expect(store({ ...s3.keys, secretAccessKey: 'wrong' }).get('k')).rejects.toThrow(/secret key does not match/);
    await expect(store({ ...s3.keys, secretAccessKey: 'wrong' }).stat('k')).rejects.toThrow(
      /secret key does not match/,
    );
    await expect(store({ ...s3.keys, accessKeyId: 'nobody' }).put('k', Buffer.from('x'))).rejects.toThrow(
      /access key is not known/,
    );
  });

  it('never shows the secret in an error', async () => {
    const store = openObjectStore({ name: 'test', url: 's3://no-such-bucket-anywhere', endpoint: s3.endpoint }, deps());
    try {
      await store.put('k', Buffer.from('x'));
      expect.unreachable();
    } catch (error) {
      expect(isEdgeError(error)).toBe(true);
      expect(JSON.stringify({ ...(error as object), message: String(error) })).not.toContain(s3.keys.secretAccessKey);
    }
  });
}
