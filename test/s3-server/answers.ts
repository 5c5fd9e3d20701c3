/**
 * One script of questions to an S3 server with the answers that edgestore relies on. The project's own server and the RADOS gateway are both
 * asked: what a test sees on the one must hold on the other.
 */
import { createHash, randomBytes } from 'node:crypto';
import { request } from 'node:http';
import { type S3Keys, signRequest } from './sigv4.ts';

export interface S3UnderQuestion {
  readonly endpoint: string;
  readonly keys: S3Keys;
  readonly otherKeys: S3Keys;
}

export interface Answer {
  readonly question: string;
  readonly expected: string;
  readonly got: string;
}

interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  readonly keys?: S3Keys | undefined;
  readonly time?: number;
  /** Changes what is sent after it was signed. */
  readonly tamper?: (headers: Record<string, string>) => void;
}

/** Asks everything, in a bucket of its own; answers that are not as expected are for the caller to judge. */
export async function askS3(s3: S3UnderQuestion): Promise<Answer[]> {
  const answers: Answer[] = [];
  const bucket = `answers-${randomBytes(6).toString('hex')}`;
  const send = (asked: Asked) => sendSigned(s3, asked);
  const at = (key: string) => `/${bucket}/${key}`;
  const md5 = (body: Uint8Array) => createHash('md5').update(body).digest('base64');
  const ask = async (question: string, expected: string, answer: () => Promise<string>) => {
    answers.push({ question, expected, got: await answer() });
  };
  const put = (key: string, body: Uint8Array, headers: Record<string, string> = {}) =>
    send({ method: 'PUT', path: at(key), body, headers });
  const get = (key: string, headers: Record<string, string> = {}) => send({ method: 'GET', path: at(key), headers });

  const body = randomBytes(300_000);
  const etag = `"${createHash('md5').update(body).digest('hex')}"`;

  await ask('HEAD of an absent bucket', '404', async () => status(await send({ method: 'HEAD', path: `/${bucket}` })));
  await ask('PUT into an absent bucket', '404 NoSuchBucket', async () => coded(await put('k', body)));
  await ask('GET from an absent bucket', '404 NoSuchBucket', async () => coded(await get('k')));
  await ask('list of an absent bucket', '404 NoSuchBucket', async () =>
    coded(await send({ method: 'GET', path: `/${bucket}?list-type=2` })),
  );
  await ask('create a bucket', '200', async () => status(await send({ method: 'PUT', path: `/${bucket}` })));
  await ask('HEAD of the bucket', '200', async () => status(await send({ method: 'HEAD', path: `/${bucket}` })));

  await ask('PUT with Content-MD5 gives the MD5 as ETag', `200 ${etag}`, async () => {
    const reply = await put('k', body, { 'content-md5': md5(body) });
    return `${reply.status} ${reply.headers.etag}`;
  });
  await ask('PUT with another body’s Content-MD5', '400 BadDigest', async () =>
    coded(await put('bad', body, { 'content-md5': md5(Buffer.from('x')) })),
  );
  await ask('nothing was stored by it', '404 NoSuchKey', async () => coded(await get('bad')));
  await ask('PUT with a body that is not what was signed is refused', 'refused', async () =>
    refused(
      await send({
        method: 'PUT',
        path: at('bad'),
        body,
        tamper: (headers) =>
          Object.assign(headers, { 'x-amz-content-sha256': createHash('sha256').update('x').digest('hex') }),
      }),
    ),
  );
  await ask('HEAD gives size and ETag', `200 300000 ${etag}`, async () => {
    const reply = await send({ method: 'HEAD', path: at('k') });
    return `${reply.status} ${reply.headers['content-length']} ${reply.headers.etag}`;
  });
  await ask('GET gives the bytes', '200 equal', async () => equal(await get('k'), body));
  await ask('GET of a range', '206 bytes 100-199/300000 equal', async () =>
    ranged(await get('k', { range: 'bytes=100-199' }), body.subarray(100, 200)),
  );
  await ask('GET of the last bytes', '206 bytes 299950-299999/300000 equal', async () =>
    ranged(await get('k', { range: 'bytes=-50' }), body.subarray(-50)),
  );
  await ask(
    'GET of a range that ends past the end gives what there is',
    '206 bytes 299990-299999/300000 equal',
    async () => ranged(await get('k', { range: 'bytes=299990-300100' }), body.subarray(299_990)),
  );
  await ask('GET of a range past the end', '416 InvalidRange', async () =>
    coded(await get('k', { range: 'bytes=300000-300001' })),
  );
  await ask('GET of an absent key', '404 NoSuchKey', async () => coded(await get('absent')));
  await ask('HEAD of an absent key', '404', async () => status(await send({ method: 'HEAD', path: at('absent') })));
  await ask('an empty object', '200 0', async () => {
    await put('empty', Buffer.alloc(0), { 'content-md5': md5(Buffer.alloc(0)) });
    const reply = await get('empty');
    return `${reply.status} ${reply.body.length}`;
  });

  await ask('PUT If-None-Match:* on an absent key', '200', async () =>
    status(await put('once', Buffer.from('first'), { 'if-none-match': '*' })),
  );
  await ask('PUT If-None-Match:* on a key that is there', '412 PreconditionFailed', async () =>
    coded(await put('once', Buffer.from('second'), { 'if-none-match': '*' })),
  );
  await ask('it kept the first bytes', '200 equal', async () => equal(await get('once'), Buffer.from('first')));
  await ask('of racing PUTs with If-None-Match:* one wins', '1 winner, its bytes, losers 409 or 412', async () => {
    const bodies = Array.from({ length: 12 }, () => randomBytes(100));
    const replies = await Promise.all(bodies.map((racer) => put('race', racer, { 'if-none-match': '*' })));
    const winners = replies.flatMap((reply, i) => (reply.status === 200 ? [bodies[i]] : []));
    const kept = (await get('race')).body;
    const losers = replies.every((reply) => [200, 409, 412].includes(reply.status));
    return `${winners.length} winner${winners[0]?.equals(kept) === true ? ', its bytes' : ''}${losers ? ', losers 409 or 412' : ''}`;
  });
  await ask('PUT replaces', '200 equal', async () => {
    await put('k2', body);
    await put('k2', Buffer.from('short'));
    return equal(await get('k2'), Buffer.from('short'));
  });
  await ask('a key and its folder are two things', '200 equal', async () => {
    await put('both', Buffer.from('1'));
    await put('both/below', Buffer.from('2'));
    return equal(await get('both'), Buffer.from('1'));
  });

  for (const i of Array.from({ length: 25 }, (_, index) => index))
    await put(`l/d${i % 5}/f${String(i).padStart(2, '0')}`, Buffer.from('x'));
  const list = async (query: string) => {
    const reply = await send({ method: 'GET', path: `/${bucket}?list-type=2&${query}` });
    const text = reply.body.toString('utf8');
    const all = (name: string) =>
      [...text.matchAll(new RegExp(`<${name}>([^<]*)</${name}>`, 'g'))].map((found) => found[1] ?? '');
    return {
      status: reply.status,
      keys: all('Key'),
      sizes: all('Size'),
      truncated: all('IsTruncated')[0],
      token: all('NextContinuationToken')[0],
      count: all('KeyCount')[0],
    };
  };
  await ask('a listing has the prefix’s keys in byte order', '200 25 sorted false', async () => {
    const page = await list('prefix=l%2F');
    const sorted = [...page.keys].sort().join() === page.keys.join();
    return `${page.status} ${page.keys.length}${sorted ? ' sorted' : ''} ${page.truncated}`;
  });
  await ask('pages of a listing are the whole', '10,10,5 the whole', async () => {
    const pages: string[][] = [];
    let token: string | undefined;
    do {
      const page = await list(
        `prefix=l%2F&max-keys=10${token === undefined ? '' : `&continuation-token=${encodeURIComponent(token)}`}`,
      );
      pages.push(page.keys);
      token = page.truncated === 'true' ? page.token : undefined;
    } while (token !== undefined && pages.length < 10);
    const whole = pages.flat().join() === (await list('prefix=l%2F')).keys.join();
    return `${pages.map((page) => page.length).join()}${whole ? ' the whole' : ''}`;
  });
  await ask('a listing of nothing', '200 0 false', async () => {
    const page = await list('prefix=nothing%2F');
    return `${page.status} ${page.keys.length} ${page.truncated}`;
  });
  await ask('a listing shows a PUT at once, and a DELETE', 'there, gone', async () => {
    await put('fresh/one', Buffer.from('x'));
    const there = (await list('prefix=fresh%2F')).keys.join() === 'fresh/one';
    await send({ method: 'DELETE', path: at('fresh/one') });
    const gone = (await list('prefix=fresh%2F')).keys.length === 0;
    return `${there ? 'there' : 'not there'}, ${gone ? 'gone' : 'still there'}`;
  });

  await ask('DELETE', '204', async () => status(await send({ method: 'DELETE', path: at('k2') })));
  await ask('it is gone', '404 NoSuchKey', async () => coded(await get('k2')));
  await ask('DELETE of what is absent', '204', async () => status(await send({ method: 'DELETE', path: at('k2') })));

  const stranger = (keys: S3Keys | undefined) => send({ method: 'GET', path: at('k'), keys });
  await ask('a wrong secret', '403 SignatureDoesNotMatch', async () =>
    coded(await stranger({ ...s3.keys, secretAccessKey: 'wrong' })),
  );
  await ask('an unknown access key', '403 InvalidAccessKeyId', async () =>
    coded(await stranger({ ...s3.keys, accessKeyId: 'nobody' })),
  );
  await ask('another user', '403 AccessDenied', async () => coded(await stranger(s3.otherKeys)));
  await ask('another user’s PUT', '403 AccessDenied', async () =>
    coded(await send({ method: 'PUT', path: at('theirs'), body, keys: s3.otherKeys })),
  );
  await ask('nobody', '403 AccessDenied', async () =>
    coded(await send({ method: 'GET', path: at('k'), tamper: (headers) => delete headers.authorization })),
  );
  await ask('a clock an hour off', '403 RequestTimeTooSkewed', async () =>
    coded(await send({ method: 'GET', path: at('k'), time: Date.now() - 3_600_000 })),
  );
  return answers;
}

async function sendSigned(s3: S3UnderQuestion, asked: Asked): Promise<Reply> {
  const url = new URL(asked.path, s3.endpoint);
  const headers = signRequest(
    { method: asked.method, url, headers: asked.headers ?? {}, body: asked.body },
    asked.keys ?? s3.keys,
    asked.time ?? Date.now(),
  );
  asked.tamper?.(headers);
  if (asked.body !== undefined) headers['content-length'] = String(asked.body.length);
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { method: asked.method, headers }, (incoming) => {
      const parts: Buffer[] = [];
      incoming.on('data', (part: Buffer) => parts.push(part));
      incoming.once('error', reject);
      incoming.once('end', () =>
        resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body: Buffer.concat(parts) }),
      );
    });
    outgoing.once('error', reject);
    outgoing.end(asked.body);
  });
}

function status(reply: Reply): string {
  return String(reply.status);
}

function coded(reply: Reply): string {
  return `${reply.status} ${/<Code>([^<]*)<\/Code>/.exec(reply.body.toString('utf8'))?.[1] ?? ''}`.trim();
}

/** Servers differ in the code here. */
function refused(reply: Reply): string {
  return reply.status === 400 || reply.status === 403 ? 'refused' : status(reply);
}

function equal(reply: Reply, body: Uint8Array): string {
  return `${reply.status} ${Buffer.compare(reply.body, body) === 0 ? 'equal' : 'different'}`;
}

function ranged(reply: Reply, body: Uint8Array): string {
  return `${reply.status} ${reply.headers['content-range']} ${Buffer.compare(reply.body, body) === 0 ? 'equal' : 'different'}`;
}
