/** What the S3 store does when the server or the network misbehaves (each fault is injected by the project's own server). */
import { createServer } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createStoreCounts } from '../../packages/engine/src/store/objects/measured.ts';
import { openObjectStore } from '../../packages/engine/src/store/objects/open-object-store.ts';
import { realClock } from '../../packages/engine/src/testing/real-clock.ts';
import { createSeededRandom } from '../../packages/engine/src/testing/seeded-random.ts';
import type { ServerEffect, ServerFault } from '../s3-server/faults.ts';
import { type S3Server, startS3Server } from '../s3-server/server.ts';
import { TEST_KEYS } from '../s3-server/test-keys.ts';
import { freePort } from '../support/free-port.ts';
import { newBucket, type S3ForTests } from '../support/s3-for-tests.ts';
import { tempFolders } from '../support/temp-folder.ts';

const folder = tempFolders('s3-faults');
const random = createSeededRandom('faults');
const body = Buffer.from(random(300_000));
let server: S3Server;
let s3: S3ForTests;
let bucket: string;

beforeAll(async () => {
  server = await startS3Server({ dir: folder(), keys: Object.values(TEST_KEYS) });
  s3 = {
    endpoint: server.endpoint,
    engine: 'the project’s own S3 server',
    keys: TEST_KEYS.first,
    otherKeys: TEST_KEYS.other,
    stop: server.close,
  };
});
afterAll(() => server.close());
beforeEach(async () => {
  server.faults.setPlan([]);
  bucket = await newBucket(s3);
});

function open(endpoint = server.endpoint) {
  const counts = createStoreCounts();
  const store = openObjectStore(
    { name: 'test', url: `s3://${bucket}/p`, endpoint },
    {
      clock: realClock,
      random,
      counts,
      credentials: s3.keys,
      retry: { triesMax: 4, firstDelayMs: 5, delayMsMax: 20, retriesMax: 100, retriesPerSecond: 1 },
      timeouts: { connectMs: 500, idleMs: 400 },
    },
  );
  return { store, counts };
}

const fault = (verb: ServerFault['verb'], effect: ServerEffect, nth?: number, times?: number): ServerFault => ({
  verb,
  effect,
  ...(nth === undefined ? {} : { nth }),
  ...(times === undefined ? {} : { times }),
});

describe('failures that pass are got over', () => {
  const passing: [string, ServerEffect][] = [
    ['503 SlowDown', { kind: 'status', status: 503, code: 'SlowDown' }],
    ['500', { kind: 'status', status: 500, code: 'InternalError' }],
    ['429', { kind: 'status', status: 429, code: 'TooManyRequests' }],
    ['a connection that is closed', { kind: 'reset' }],
    ['a reply that is lost', { kind: 'drop-reply' }],
    ['a server that accepts and never answers', { kind: 'stall' }],
  ];
  for (const [name, effect] of passing) {
    it(`${name}, on each verb`, async () => {
      const { store } = open();
      server.faults.setPlan((['put', 'get', 'head', 'list', 'delete'] as const).map((verb) => fault(verb, effect, 1)));
      await store.put('k', body, { ifAbsent: true });
      expect(body.equals((await store.get('k')) ?? new Uint8Array())).toBe(true);
      expect((await store.stat('k'))?.size).toBe(body.length);
      const keys = [];
      for await (const found of store.list('')) keys.push(found.key);
      expect(keys).toEqual(['k']);
      await store.delete('k');
      expect(await store.get('k')).toBeUndefined();
    });
  }

  it('a body that breaks off at any point is read again', async () => {
    const { store } = open();
    await store.put('k', body);
    for (const bytes of [0, 1, 65_535, 65_536, 299_999]) {
      server.faults.setPlan([fault('get', { kind: 'truncate', bytes }, 1)]);
      expect(body.equals((await store.get('k')) ?? new Uint8Array()), String(bytes)).toBe(true);
    }
  });

  it('a short range that looks complete is read again', async () => {
    const { store } = open();
    await store.put('k', body);
    server.faults.setPlan([fault('get', { kind: 'short', bytes: 50 }, 1)]);
    expect(
      body.subarray(10, 110).equals((await store.get('k', { range: { offset: 10, length: 100 } })) ?? new Uint8Array()),
    ).toBe(true);
  });
});

describe('failures that stay are said', () => {
  it('an outage is given up after a bounded number of tries', async () => {
    const { store, counts } = open();
    server.faults.setPlan([fault('put', { kind: 'status', status: 503, code: 'SlowDown' })]);
    await expect(store.put('k', body)).rejects.toMatchObject({
      code: 'E_STORE',
      retryable: true,
      context: { status: 503, tries: 4 },
    });
    expect(counts.calls.put).toBe(4);
  });

  it('a stalled server ends each try after the idle timeout', async () => {
    const { store } = open();
    server.faults.setPlan([fault('get', { kind: 'stall' })]);
    const began = performance.now();
    await expect(store.get('k')).rejects.toMatchObject({ code: 'E_STORE', retryable: true });
    expect(performance.now() - began).toBeLessThan(10_000);
  });

  it('nobody listening there', async () => {
    const { store } = open(`http://127.0.0.1:${await freePort()}`);
    await expect(store.put('k', body)).rejects.toMatchObject({
      code: 'E_STORE',
      retryable: true,
      context: { errno: 'ECONNREFUSED' },
    });
  });

  it('a server that ignores ranges', async () => {
    const { store } = open();
    await store.put('k', body);
    server.faults.setPlan([fault('get', { kind: 'ignore-range' })]);
    await expect(store.get('k', { range: { offset: 5, length: 5 } })).rejects.toThrow(/ignored the range/);
  });

  it('a refusal is not tried again', async () => {
    const { store, counts } = open();
    server.faults.setPlan([fault('put', { kind: 'status', status: 403, code: 'AccessDenied' })]);
    await expect(store.put('k', body)).rejects.toMatchObject({ code: 'E_DENIED' });
    expect(counts.calls.put).toBe(1);
  });

  it('an object in an archive class', async () => {
    const { store } = open();
    server.faults.setPlan([fault('get', { kind: 'status', status: 403, code: 'InvalidObjectState' })]);
    await expect(store.get('k')).rejects.toMatchObject({ code: 'E_ARCHIVED', exitCode: 6 });
  });

  it('a bucket of another region', async () => {
    const { store } = open();
    server.faults.setPlan([fault('put', { kind: 'status', status: 301, code: 'PermanentRedirect' })]);
    await expect(store.put('k', body)).rejects.toMatchObject({ code: 'E_CONFIG', exitCode: 2 });
  });

  it('is interrupted at once when it is told to stop', async () => {
    const { store } = open();
    server.faults.setPlan([fault('get', { kind: 'stall' })]);
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 50);
    await expect(store.get('k', { signal: controller.signal })).rejects.toMatchObject({ code: 'E_INTERRUPTED' });
  });
});

describe('what a store may lie about is left to be verified', () => {
  it('a put that was not stored shows in stat', async () => {
    const { store } = open();
    server.faults.setPlan([fault('put', { kind: 'lie' }, 1)]);
    await store.put('k', body);
    expect(await store.stat('k')).toBeUndefined();
  });

  it('a body that was spoiled on the server shows in its md5', async () => {
    const { store } = open();
    await store.put('good', body);
    server.faults.setPlan([fault('put', { kind: 'flip', bit: 12_345 }, 1)]);
    await store.put('bad', body);
    expect((await store.stat('bad'))?.md5).not.toBe((await store.stat('good'))?.md5);
  });
});

describe('a server that lists without end', () => {
  it('pages that name nothing are given up after a while', async () => {
    let pages = 0;
    const endless = createServer((_, response) => {
      const token = ++pages;
      response.end(
        `<?xml version="1.0"?><ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>${token}</NextContinuationToken></ListBucketResult>`,
      );
    });
    const port = await freePort();
    await new Promise<void>((resolve) => endless.listen(port, '127.0.0.1', resolve));
    try {
      const { store } = open(`http://127.0.0.1:${port}`);
      const listed = async () => {
        for await (const _ of store.list('k'));
      };
      await expect(listed()).rejects.toMatchObject({ code: 'E_STORE' });
    } finally {
      endless.closeAllConnections();
      endless.close();
    }
  });
});
