/** GET of a whole object or a range, with the answer's length checked: a short body is a failure, never a short object. */
import type { GetObjectCommandOutput } from '@aws-sdk/client-s3';
import { EdgeError } from '../../../core/errors.ts';
import { PACK_BYTES_MAX } from '../../../core/limits.ts';
import { rangeBeyondEnd } from '../object-key.ts';
import { s3Code, s3Status } from './errors.ts';
import { bucketKey, type S3Session, s3Request } from './session.ts';

/** Nothing that edgestore stores is larger than a pack; more than that is not ours, and is not read into memory. */
const OBJECT_BYTES_MAX = PACK_BYTES_MAX;

interface Range {
  readonly offset: number;
  readonly length: number;
}

export async function getObject(
  session: S3Session,
  key: string,
  options: { readonly range?: Range; readonly signal?: AbortSignal },
): Promise<Uint8Array | undefined> {
  const { range } = options;
  const bodyBytes = range?.length ?? OBJECT_BYTES_MAX;
  return s3Request(
    session,
    { action: 'get', key, bodyBytes, signal: options.signal },
    async ({ sdk, client }, abortSignal) => {
      let answer: GetObjectCommandOutput;
      try {
        const command = new sdk.GetObjectCommand({
          Bucket: session.address.bucket,
          Key: bucketKey(session, key),
          ...(range === undefined ? {} : { Range: `bytes=${range.offset}-${range.offset + range.length - 1}` }),
        });
        answer = await client.send(command, { abortSignal });
      } catch (error) {
        if (s3Code(error) === 'NoSuchKey') return undefined;
        if (s3Status(error) === 416 && range !== undefined) throw rangeBeyondEnd(session.label, key, range);
        throw error;
      }
      try {
        return await readBody(answer, expectedBytes(session, key, answer, range), `${session.label}/${key}`);
      } catch (error) {
        (answer.Body as { destroy?: () => void } | undefined)?.destroy?.();
        throw error;
      }
    },
  );
}

/** How many bytes the answer must have, from what was asked and what the headers say. */
function expectedBytes(
  session: S3Session,
  key: string,
  answer: GetObjectCommandOutput,
  range: Range | undefined,
): number {
  const where = `${session.label}/${key}`;
  if (range === undefined) {
    const length = answer.ContentLength;
    if (length === undefined)
      throw new EdgeError('E_STORE', `${where}: the answer does not say how long it is`, { retryable: true });
    if (length > OBJECT_BYTES_MAX) {
      throw new EdgeError('E_LIMIT', `${where} has ${length} bytes; nothing that edgestore stores is that large`, {
        context: { store: session.label, key, size: length },
      });
    }
    return length;
  }
  const found = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(answer.ContentRange ?? '');
  if (found === null)
    throw new EdgeError('E_STORE', `${where}: the server ignored the range that was asked for`, {
      context: { store: session.label, key },
    });
  const [first, last, size] = [Number(found[1]), Number(found[2]), Number(found[3])];
  if (range.offset + range.length > size) throw rangeBeyondEnd(session.label, key, range, size);
  if (first !== range.offset || last !== range.offset + range.length - 1) {
    throw new EdgeError(
      'E_STORE',
      `${where}: the server answered bytes ${first} to ${last} instead of ${range.length} from ${range.offset}`,
      {
        context: { store: session.label, key },
        retryable: true,
      },
    );
  }
  return range.length;
}

async function readBody(answer: GetObjectCommandOutput, expected: number, where: string): Promise<Uint8Array> {
  const out = new Uint8Array(expected);
  let at = 0;
  for await (const part of (answer.Body ?? []) as AsyncIterable<Uint8Array>) {
    if (at + part.length > expected)
      throw new EdgeError('E_STORE', `${where}: the answer is longer than it said`, { retryable: true });
    out.set(part, at);
    at += part.length;
  }
  if (at !== expected)
    throw new EdgeError('E_STORE', `${where}: the answer ended after ${at} of ${expected} bytes`, { retryable: true });
  return out;
}
