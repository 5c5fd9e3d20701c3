/**
 * A small S3 server for tests and the quickstart: path style, signatures checked, conditional writes, atomic replacement. It is held to the
 * same questions and answers as a real gateway (`answers.ts`), and can be told to misbehave (`faults.ts`).
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { bucketRequest, listBuckets } from './bucket-requests.ts';
import { openDisk } from './disk.ts';
import { createFaultInjector, type FaultInjector, type S3Verb, type ServerFault } from './faults.ts';
import { objectRequest } from './object-requests.ts';
import { refuse, type S3Request } from './s3-request.ts';
import { type S3Keys, verifySignature } from './sigv4.ts';

export interface S3Server {
  readonly endpoint: string;
  readonly faults: FaultInjector;
  close(): Promise<void>;
}

/** A path that can be no bucket: `GET` and `DELETE /-/counts`, `PUT /-/faults`. Only whoever is on this machine reaches it. */
const CONTROL = '/-/';

export async function startS3Server(options: {
  readonly dir: string;
  readonly port?: number;
  readonly keys: readonly S3Keys[];
}): Promise<S3Server> {
  const disk = await openDisk(options.dir);
  const faults = createFaultInjector();
  const server = createServer((incoming, outgoing) => {
    serve(incoming, outgoing).catch((error: unknown) => {
      if (outgoing.headersSent) outgoing.destroy();
      else
        refuse(
          outgoing,
          500,
          'InternalError',
          error instanceof Error ? error.message : String(error),
          incoming.url ?? '',
        );
    });
  });
  server.keepAliveTimeout = 60_000;

  async function serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const url = incoming.url ?? '/';
    if (url.startsWith(CONTROL)) return control(incoming, outgoing, faults);
    const method = incoming.method ?? 'GET';
    incoming.on('data', (part: Buffer) => {
      faults.counts.bytesIn += part.length;
    });
    incoming.pause();
    const [path = '/', search = ''] = url.split(/\?(.*)/s);
    const [, bucket = '', rawKey = ''] = /^\/([^/]*)\/?(.*)$/s.exec(path) ?? [];
    const query = new URLSearchParams(search);
    let key: string;
    try {
      key = decodeURIComponent(rawKey);
    } catch {
      return refuse(outgoing, 400, 'InvalidURI', 'the path is not encoded well', url);
    }
    const effect = faults.strike(verbOf(method, key, query), key === '' ? (query.get('prefix') ?? '') : key);
    if (effect?.kind === 'reset') {
      incoming.socket.destroy();
      return;
    }
    if (effect?.kind === 'stall') {
      incoming.resume();
      return;
    }
    if (effect?.kind === 'slow') await new Promise((resolve) => setTimeout(resolve, effect.ms));
    if (effect?.kind === 'status') {
      incoming.resume();
      return refuse(outgoing, effect.status, effect.code, 'injected', url);
    }
    const verdict = verifySignature({ method, url, headers: incoming.headers }, options.keys, Date.now());
    if (!verdict.ok) {
      incoming.resume();
      return refuse(outgoing, verdict.status, verdict.code, verdict.message, url);
    }
    const request: S3Request = {
      incoming,
      outgoing,
      disk,
      faults,
      accessKeyId: verdict.accessKeyId,
      payloadHash: verdict.payloadHash,
      bucket,
      key,
      query,
    };
    if (bucket === '') return listBuckets(request);
    if (key === '') return bucketRequest(request, effect);
    return objectRequest(request, effect);
  }

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, '127.0.0.1', resolve);
  });
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    faults,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function verbOf(method: string, key: string, query: URLSearchParams): S3Verb {
  if (key === '') return method === 'GET' && query.has('list-type') ? 'list' : 'bucket';
  if (method === 'PUT') return 'put';
  if (method === 'GET') return 'get';
  if (method === 'HEAD') return 'head';
  return method === 'DELETE' ? 'delete' : 'bucket';
}

async function control(incoming: IncomingMessage, outgoing: ServerResponse, faults: FaultInjector): Promise<void> {
  const what = `${incoming.method} ${incoming.url}`;
  if (what === `PUT ${CONTROL}faults`) {
    const parts: Buffer[] = [];
    for await (const part of incoming) parts.push(part as Buffer);
    faults.setPlan(JSON.parse(Buffer.concat(parts).toString('utf8')) as ServerFault[]);
  } else if (what === `DELETE ${CONTROL}counts`) {
    faults.resetCounts();
  } else if (what !== `GET ${CONTROL}counts`) {
    outgoing.writeHead(404).end();
    return;
  }
  outgoing.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(faults.counts));
}
