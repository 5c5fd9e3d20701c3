/**
 * AWS Signature Version 4 for S3, both sides: the server verifies with it, the script of questions signs with it.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

export interface S3Keys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export const EMPTY_SHA256 = createHash('sha256').digest('hex');
export const UNSIGNED_PAYLOAD = 'UNSIGNED-PAYLOAD';
/** What AWS allows between the two clocks. */
const SKEW_MS_MAX = 15 * 60_000;

export interface SignedParts {
  readonly method: string;
  /** Path and query as sent. */
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
}

export type Verdict =
  | { readonly ok: true; readonly accessKeyId: string; readonly payloadHash: string }
  | { readonly ok: false; readonly status: number; readonly code: string; readonly message: string };

/** Headers that make the request a signed one. `time` is in milliseconds. */
export function signRequest(
  request: {
    readonly method: string;
    readonly url: URL;
    readonly headers: Readonly<Record<string, string>>;
    readonly body: Uint8Array | undefined;
  },
  keys: S3Keys,
  time: number,
): Record<string, string> {
  const amzDate = amzDateOf(time);
  const payloadHash =
    request.body === undefined ? EMPTY_SHA256 : createHash('sha256').update(request.body).digest('hex');
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(request.headers)) headers[name.toLowerCase()] = value;
  headers.host = request.url.host;
  headers['x-amz-date'] ??= amzDate;
  headers['x-amz-content-sha256'] ??= payloadHash;
  const names = Object.keys(headers).sort();
  const scope = `${amzDate.slice(0, 8)}/us-east-1/s3/aws4_request`;
  const signature = signatureOf({
    method: request.method,
    url: request.url.pathname + request.url.search,
    headers,
    names,
    payloadHash: headers['x-amz-content-sha256'] ?? '',
    amzDate: headers['x-amz-date'] ?? '',
    scope,
    secret: keys.secretAccessKey,
  });
  headers.authorization = `AWS4-HMAC-SHA256 Credential=${keys.accessKeyId}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}`;
  return headers;
}

/** Checks the Authorization header; the caller compares the body with `payloadHash`. */
export function verifySignature(request: SignedParts, keys: readonly S3Keys[], time: number): Verdict {
  const refuse = (status: number, code: string, message: string): Verdict => ({ ok: false, status, code, message });
  const authorization = request.headers.authorization ?? '';
  const found =
    /^AWS4-HMAC-SHA256 Credential=([^/,\s]+)\/(\d{8}\/[^/,\s]+\/s3\/aws4_request),\s*SignedHeaders=([a-z0-9;-]+),\s*Signature=([0-9a-f]{64})$/.exec(
      authorization,
    );
  if (found === null)
    return refuse(403, 'AccessDenied', authorization === '' ? 'no credentials' : 'not a signature of version 4');
  const [, accessKeyId = '', scope = '', signedHeaders = '', signature = ''] = found;
  const known = keys.find((entry) => entry.accessKeyId === accessKeyId);
  if (known === undefined) return refuse(403, 'InvalidAccessKeyId', 'no such access key');
  const names = signedHeaders.split(';');
  if (!names.includes('host')) return refuse(403, 'AccessDenied', 'the host is not signed');
  const amzDate = String(request.headers['x-amz-date'] ?? '');
  const sent = timeOfAmzDate(amzDate);
  if (sent === undefined || amzDate.slice(0, 8) !== scope.slice(0, 8)) return refuse(403, 'AccessDenied', 'no date');
  if (Math.abs(sent - time) > SKEW_MS_MAX) return refuse(403, 'RequestTimeTooSkewed', 'the clocks differ too much');
  const payloadHash = String(request.headers['x-amz-content-sha256'] ?? '');
  const expected = signatureOf({
    method: request.method,
    url: request.url,
    headers: request.headers,
    names,
    payloadHash,
    amzDate,
    scope,
    secret: known.secretAccessKey,
  });
  if (!timingSafeEqual(Buffer.from(expected), Buffer.from(signature)))
    return refuse(403, 'SignatureDoesNotMatch', 'the signature does not match');
  return { ok: true, accessKeyId, payloadHash };
}

function signatureOf(input: {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly names: readonly string[];
  readonly payloadHash: string;
  readonly amzDate: string;
  readonly scope: string;
  readonly secret: string;
}): string {
  const [path = '/', query = ''] = input.url.split(/\?(.*)/s);
  const canonical = [
    input.method,
    path,
    canonicalQuery(query),
    ...input.names.map(
      (name) =>
        `${name}:${String(input.headers[name] ?? '')
          .trim()
          .replaceAll(/ +/g, ' ')}`,
    ),
    '',
    input.names.join(';'),
    input.payloadHash,
  ].join('\n');
  const toSign = [
    'AWS4-HMAC-SHA256',
    input.amzDate,
    input.scope,
    createHash('sha256').update(canonical).digest('hex'),
  ].join('\n');
  const key = input.scope
    .split('/')
    .reduce<Uint8Array>(
      (parent, part) => createHmac('sha256', parent).update(part).digest(),
      Buffer.from(`AWS4${input.secret}`),
    );
  return createHmac('sha256', key).update(toSign).digest('hex');
}

function canonicalQuery(query: string): string {
  if (query === '') return '';
  return query
    .split('&')
    .map((part) => {
      const [name = '', value = ''] = part.split(/=(.*)/s);
      return `${encodeAgain(name)}=${encodeAgain(value)}`;
    })
    .sort()
    .join('&');
}

/** The one encoding that both sides agree on: everything but unreserved characters. */
function encodeAgain(text: string): string {
  return encodeURIComponent(decodeURIComponent(text)).replaceAll(
    /[!'()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function amzDateOf(time: number): string {
  return new Date(time).toISOString().replaceAll(/[-:]|\.\d+/g, '');
}

function timeOfAmzDate(text: string): number | undefined {
  const found = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text);
  if (found === null) return undefined;
  const [, y, mo, d, h, mi, s] = found;
  return Date.UTC(Number(y), Number(mo) - 1, Number(d), Number(h), Number(mi), Number(s));
}
