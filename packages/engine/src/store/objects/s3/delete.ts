/** DELETE of one object. */
import { s3Code } from './errors.ts';
import { bucketKey, type S3Session, s3Request } from './session.ts';

export async function deleteObject(
  session: S3Session,
  key: string,
  options: { readonly signal?: AbortSignal },
): Promise<void> {
  await s3Request(
    session,
    { action: 'delete', key, bodyBytes: 0, signal: options.signal },
    async ({ sdk, client }, abortSignal) => {
      try {
        await client.send(
          new sdk.DeleteObjectCommand({ Bucket: session.address.bucket, Key: bucketKey(session, key) }),
          { abortSignal },
        );
      } catch (error) {
        // Some gateways answer so where S3 itself answers 204.
        if (s3Code(error) !== 'NoSuchKey') throw error;
      }
    },
  );
}
