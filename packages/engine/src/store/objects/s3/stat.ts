/** HEAD: size, and MD5 where the ETag is one. */
import type { HeadObjectCommandOutput } from '@aws-sdk/client-s3';
import type { ObjectStat } from '../../../core/ports/object-store.ts';
import type { S3Connection } from './client.ts';
import { s3Status } from './errors.ts';
import { assertBucketExists, bucketKey, type S3Session, s3Request } from './session.ts';

export async function statObject(
  session: S3Session,
  key: string,
  options: { readonly signal?: AbortSignal },
): Promise<ObjectStat | undefined> {
  return s3Request(
    session,
    { action: 'stat', key, bodyBytes: 0, signal: options.signal },
    async (connection, abortSignal) => {
      const { sdk, client } = connection;
      let answer: HeadObjectCommandOutput;
      try {
        answer = await client.send(
          new sdk.HeadObjectCommand({ Bucket: session.address.bucket, Key: bucketKey(session, key) }),
          { abortSignal },
        );
      } catch (error) {
        if (s3Status(error) === 403) await explainRefusal(session, connection, key, abortSignal);
        if (s3Status(error) !== 404) throw error;
        await assertBucketExists(session, connection, abortSignal);
        return undefined;
      }
      // With a KMS key or a key of the client's own the ETag is not the MD5 of the content.
      const plain = (answer.ServerSideEncryption ?? 'AES256') === 'AES256' && answer.SSECustomerAlgorithm === undefined;
      const md5 = plain ? md5OfETag(answer.ETag) : undefined;
      return { key, size: answer.ContentLength ?? 0, ...(md5 === undefined ? {} : { md5 }) };
    },
  );
}

/** The answer to HEAD has no body, so a wrong secret looks like a missing permission; the answer to GET says which it is. */
async function explainRefusal(
  session: S3Session,
  { sdk, client }: S3Connection,
  key: string,
  abortSignal: AbortSignal,
): Promise<void> {
  const answer = await client.send(
    new sdk.GetObjectCommand({ Bucket: session.address.bucket, Key: bucketKey(session, key), Range: 'bytes=0-0' }),
    { abortSignal },
  );
  (answer.Body as { destroy?: () => void } | undefined)?.destroy?.();
}

/** The ETag of a single-part PUT is its MD5; one of several parts has a dash and is not. */
export function md5OfETag(etag: string | undefined): string | undefined {
  const found = /^(?:W\/)?"?([0-9a-f]{32})"?$/i.exec(etag ?? '');
  return found?.[1]?.toLowerCase();
}
