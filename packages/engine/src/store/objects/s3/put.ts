/** PUT: one request for the whole object, checked by the server against its Content-MD5. */
import { createHash } from 'node:crypto';
import type { StorageClass } from '@aws-sdk/client-s3';
import { bucketKey, type S3Session, s3Request } from './session.ts';

export async function putObject(
  session: S3Session,
  key: string,
  body: Uint8Array,
  options: { readonly ifAbsent?: boolean; readonly signal?: AbortSignal },
): Promise<void> {
  const storageClass = session.storageClassOf(key);
  await s3Request(
    session,
    { action: 'put', key, bodyBytes: body.length, signal: options.signal },
    async ({ sdk, client }, abortSignal) => {
      await client.send(
        new sdk.PutObjectCommand({
          Bucket: session.address.bucket,
          Key: bucketKey(session, key),
          Body: body,
          ContentLength: body.length,
          ContentMD5: createHash('md5').update(body).digest('base64'),
          ContentType: 'application/octet-stream',
          ...(storageClass === undefined ? {} : { StorageClass: storageClass as StorageClass }),
          ...(options.ifAbsent === true ? { IfNoneMatch: '*' } : {}),
        }),
        { abortSignal },
      );
    },
  );
}
