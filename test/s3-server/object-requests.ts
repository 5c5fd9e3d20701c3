/** What is asked of objects: put, get, head, delete. */
import type { Disk } from './disk.ts';
import type { ServerEffect } from './faults.ts';
import { answer, refuse, type S3Request } from './s3-request.ts';
import { UNSIGNED_PAYLOAD } from './sigv4.ts';

const BODY_BYTES_MAX = 1024 * 1024 * 1024;
const SUBRESOURCES = [
  'acl',
  'tagging',
  'uploads',
  'uploadId',
  'partNumber',
  'restore',
  'retention',
  'legal-hold',
  'torrent',
  'attributes',
];

type OpenObject = NonNullable<Awaited<ReturnType<Disk['openObject']>>>;

export async function objectRequest(request: S3Request, effect: ServerEffect | undefined): Promise<void> {
  const { incoming, outgoing, disk, bucket, key, query, accessKeyId } = request;
  const method = incoming.method ?? '';
  const refuseHere = (status: number, code: string, message: string) => {
    incoming.resume();
    refuse(outgoing, status, code, message, `/${bucket}/${key}`);
  };
  const owner = disk.bucketOwner(bucket);
  if (owner === undefined) return refuseHere(404, 'NoSuchBucket', 'no such bucket');
  if (owner !== accessKeyId) return refuseHere(403, 'AccessDenied', 'not yours');
  if (Buffer.byteLength(key) > 1024) return refuseHere(400, 'KeyTooLongError', 'at most 1024 bytes');
  const unknown = SUBRESOURCES.find((name) => query.has(name));
  if (unknown !== undefined) return refuseHere(501, 'NotImplemented', unknown);
  if (method === 'PUT') return putObject(request, effect);
  incoming.resume();
  if (method === 'DELETE') {
    await disk.remove(bucket, key);
    if (effect?.kind === 'drop-reply') {
      incoming.socket.destroy();
      return;
    }
    return answer(outgoing, 204, {});
  }
  if (method !== 'GET' && method !== 'HEAD') return refuseHere(405, 'MethodNotAllowed', method);
  const source = effect?.kind === 'wrong-bytes' ? effect.key : key;
  const found = effect?.kind === 'stale' ? undefined : await disk.openObject(bucket, source);
  if (found === undefined) return refuseHere(404, 'NoSuchKey', 'no such key');
  try {
    await sendObject(request, found, effect);
  } finally {
    await found.file.close();
  }
}

async function putObject(request: S3Request, effect: ServerEffect | undefined): Promise<void> {
  const { incoming, outgoing, disk, bucket, key } = request;
  const { headers } = incoming;
  const resource = `/${bucket}/${key}`;
  const refuseHere = (status: number, code: string, message: string) => {
    incoming.resume();
    refuse(outgoing, status, code, message, resource);
  };
  if (headers['x-amz-copy-source'] !== undefined) return refuseHere(501, 'NotImplemented', 'copy');
  if (request.payloadHash.startsWith('STREAMING-')) return refuseHere(501, 'NotImplemented', 'chunked signatures');
  const length = Number(headers['content-length'] ?? Number.NaN);
  if (!Number.isSafeInteger(length)) return refuseHere(411, 'MissingContentLength', 'the length must be given');
  if (length > BODY_BYTES_MAX) return refuseHere(400, 'EntityTooLarge', 'too large');
  const md5 = headers['content-md5'];
  const wantedMd5 = md5 === undefined ? undefined : Buffer.from(String(md5), 'base64');
  if (wantedMd5 !== undefined && wantedMd5.length !== 16) return refuseHere(400, 'InvalidDigest', 'not an MD5');
  if (headers['if-none-match'] !== undefined && headers['if-none-match'] !== '*')
    return refuseHere(501, 'NotImplemented', 'If-None-Match of an ETag');
  if (headers['if-match'] !== undefined) return refuseHere(501, 'NotImplemented', 'If-Match');

  const upload = await disk.upload(bucket);
  try {
    let first = true;
    for await (const part of incoming) {
      const bytes = part as Buffer;
      if (effect?.kind === 'flip' && first && bytes.length > 0) {
        const at = Math.floor(effect.bit / 8) % bytes.length;
        // The bytes on the way were right: what is checked below is what the client sent.
        bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << (effect.bit % 8)), at);
        first = false;
      }
      await upload.write(bytes);
    }
  } catch (error) {
    await upload.abandon();
    throw error;
  }
  const got = upload.digests();
  const honest = effect?.kind !== 'flip';
  const problem =
    got.size !== length
      ? (['IncompleteBody', 'shorter than its length'] as const)
      : honest && request.payloadHash !== UNSIGNED_PAYLOAD && request.payloadHash !== got.sha256
        ? (['XAmzContentSHA256Mismatch', 'the body is not what was signed'] as const)
        : honest && wantedMd5 !== undefined && !wantedMd5.equals(got.md5)
          ? (['BadDigest', 'the body is not what Content-MD5 says'] as const)
          : undefined;
  if (problem !== undefined || effect?.kind === 'lie') {
    await upload.abandon();
    if (problem !== undefined) return refuse(outgoing, 400, problem[0], problem[1], resource);
    return answer(outgoing, 200, { etag: `"${got.md5.toString('hex')}"` });
  }
  const stored = await upload.commit({
    key,
    storageClass: String(headers['x-amz-storage-class'] ?? 'STANDARD'),
    ifAbsent: headers['if-none-match'] === '*',
  });
  if (effect?.kind === 'drop-reply') {
    incoming.socket.destroy();
    return;
  }
  if (!stored) return refuse(outgoing, 412, 'PreconditionFailed', 'it exists', resource);
  answer(outgoing, 200, { etag: `"${got.md5.toString('hex')}"` });
}

async function sendObject(request: S3Request, found: OpenObject, effect: ServerEffect | undefined): Promise<void> {
  const { incoming, outgoing, bucket, key, faults } = request;
  const { file, start, object } = found;
  const resource = `/${bucket}/${key}`;
  const range = effect?.kind === 'ignore-range' ? undefined : rangeOf(incoming.headers.range, object.size);
  if (range === 'unsatisfiable') return refuse(outgoing, 416, 'InvalidRange', `it has ${object.size} bytes`, resource);
  const { first, last } = range ?? { first: 0, last: object.size - 1 };
  const promised = effect?.kind === 'short' ? Math.min(effect.bytes, last - first + 1) : last - first + 1;
  outgoing.writeHead(range === undefined ? 200 : 206, {
    'accept-ranges': 'bytes',
    'content-length': promised,
    'content-type': 'application/octet-stream',
    etag: `"${object.md5}"`,
    'last-modified': new Date(object.modified).toUTCString(),
    ...(object.storageClass === 'STANDARD' ? {} : { 'x-amz-storage-class': object.storageClass }),
    ...(range === undefined ? {} : { 'content-range': `bytes ${first}-${last}/${object.size}` }),
  });
  if (incoming.method === 'HEAD') {
    outgoing.end();
    return;
  }
  const toSend = effect?.kind === 'truncate' ? Math.min(effect.bytes, promised) : promised;
  const step = 256 * 1024;
  for (let at = 0; at < toSend; ) {
    const { buffer, bytesRead } = await file.read(
      Buffer.alloc(Math.min(step, toSend - at)),
      0,
      Math.min(step, toSend - at),
      start + first + at,
    );
    if (bytesRead === 0) break;
    const flipAt = effect?.kind === 'flip' ? Math.floor(effect.bit / 8) % toSend : -1;
    if (flipAt >= at && flipAt < at + bytesRead) buffer.writeUInt8(buffer.readUInt8(flipAt - at) ^ 1, flipAt - at);
    faults.counts.bytesOut += bytesRead;
    if (!outgoing.write(buffer.subarray(0, bytesRead))) await drained(outgoing);
    if (outgoing.destroyed) return;
    at += bytesRead;
  }
  if (toSend < promised || effect?.kind === 'drop-reply') {
    incoming.socket.destroySoon();
    return;
  }
  outgoing.end();
}

function drained(outgoing: S3Request['outgoing']): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      outgoing.off('drain', done).off('close', done);
      resolve();
    };
    outgoing.once('drain', done).once('close', done);
  });
}

/** Undefined without a (single, well-formed) range, which is then ignored as HTTP wants. */
function rangeOf(
  header: string | undefined,
  size: number,
): { readonly first: number; readonly last: number } | 'unsatisfiable' | undefined {
  const found = /^bytes=(\d*)-(\d*)$/.exec(header ?? '');
  if (found === null || (found[1] === '' && found[2] === '')) return undefined;
  if (found[1] === '') {
    const suffix = Math.min(Number(found[2]), size);
    return suffix === 0 ? 'unsatisfiable' : { first: size - suffix, last: size - 1 };
  }
  const first = Number(found[1]);
  const last = found[2] === '' ? size - 1 : Math.min(Number(found[2]), size - 1);
  if (first >= size) return 'unsatisfiable';
  return last < first ? undefined : { first, last };
}
