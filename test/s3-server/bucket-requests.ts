/** What is asked of buckets: make, look, list, remove. */
import type { StoredObject } from './disk.ts';
import type { ServerEffect } from './faults.ts';
import { answer, refuse, type S3Request } from './s3-request.ts';
import { bucketsXml, listXml } from './xml.ts';

const NAME = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;

export function listBuckets({ incoming, outgoing, disk, accessKeyId }: S3Request): void {
  incoming.resume();
  if (incoming.method !== 'GET') refuse(outgoing, 405, 'MethodNotAllowed', 'only GET', '/');
  else answer(outgoing, 200, {}, bucketsXml(accessKeyId, disk.bucketsOf(accessKeyId)));
}

export async function bucketRequest(request: S3Request, effect: ServerEffect | undefined): Promise<void> {
  const { incoming, outgoing, disk, bucket, query, accessKeyId } = request;
  incoming.resume();
  const owner = disk.bucketOwner(bucket);
  const method = incoming.method ?? '';
  if (method === 'PUT' && query.size === 0) {
    if (!NAME.test(bucket)) return refuse(outgoing, 400, 'InvalidBucketName', 'not a bucket name', bucket);
    if (owner !== undefined && owner !== accessKeyId)
      return refuse(outgoing, 409, 'BucketAlreadyExists', 'taken', bucket);
    if (owner === undefined) await disk.createBucket(bucket, accessKeyId);
    return answer(outgoing, 200, { location: `/${bucket}` });
  }
  if (owner === undefined) return refuse(outgoing, 404, 'NoSuchBucket', 'no such bucket', bucket);
  if (owner !== accessKeyId) return refuse(outgoing, 403, 'AccessDenied', 'not yours', bucket);
  if (method === 'HEAD') return answer(outgoing, 200, {});
  if (method === 'DELETE') {
    if (disk.list(bucket).length > 0) return refuse(outgoing, 409, 'BucketNotEmpty', 'not empty', bucket);
    await disk.removeBucket(bucket);
    return answer(outgoing, 204, {});
  }
  if (method === 'GET' && query.get('list-type') === '2') {
    const page = listPage(request, effect);
    if (effect?.kind === 'drop-reply') {
      incoming.socket.destroy();
      return;
    }
    return answer(outgoing, 200, {}, page);
  }
  refuse(outgoing, 501, 'NotImplemented', `${method} of a bucket with ${[...query.keys()].join(', ')}`, bucket);
}

function listPage({ disk, bucket, query }: S3Request, effect: ServerEffect | undefined): string {
  const prefix = query.get('prefix') ?? '';
  const delimiter = query.get('delimiter') ?? '';
  const maxKeys = Math.min(1000, Number(query.get('max-keys') ?? 1000));
  const token = query.get('continuation-token') ?? undefined;
  const after =
    token === undefined ? (query.get('start-after') ?? '') : Buffer.from(token, 'base64url').toString('utf8');
  let all = disk.list(bucket);
  if (effect?.kind === 'stale') {
    const newest = new Set([...all].sort((a, b) => b.modified - a.modified).slice(0, effect.newest ?? 1));
    all = all.filter((object) => !newest.has(object));
  }
  const objects: StoredObject[] = [];
  const commonPrefixes: string[] = [];
  let last = after;
  let truncated = false;
  for (const object of all) {
    if (!object.key.startsWith(prefix) || Buffer.compare(Buffer.from(object.key), Buffer.from(after)) <= 0) continue;
    const cut = delimiter === '' ? -1 : object.key.indexOf(delimiter, prefix.length);
    const common = cut < 0 ? undefined : object.key.slice(0, cut + delimiter.length);
    if (common !== undefined && (common === commonPrefixes.at(-1) || after.startsWith(common))) {
      last = object.key;
      continue;
    }
    if (objects.length + commonPrefixes.length >= maxKeys) {
      truncated = true;
      break;
    }
    if (common === undefined) objects.push(object);
    else commonPrefixes.push(common);
    last = object.key;
  }
  const nextToken = truncated ? Buffer.from(last).toString('base64url') : undefined;
  return listXml({ bucket, prefix, maxKeys, objects, commonPrefixes, token, nextToken });
}
