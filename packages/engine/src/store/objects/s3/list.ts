/** ListObjectsV2, page by page, held to the order that the contract promises. */
import { EdgeError } from '../../../core/errors.ts';
import type { ObjectStat } from '../../../core/ports/object-store.ts';
import { bucketKey, type S3Session, s3Request } from './session.ts';

/** S3's own bound. */
const KEYS_PER_PAGE = 1000;
/** A page may be empty and not the last one; a server that gives no others would be asked for ever. */
const PAGES_WITHOUT_KEY_MAX = 100;

export async function* listObjects(
  session: S3Session,
  prefix: string,
  options: { readonly after?: string; readonly signal?: AbortSignal },
): AsyncGenerator<ObjectStat> {
  const full = bucketKey(session, prefix);
  const strip = bucketKey(session, '').length;
  let token: string | undefined;
  const after = options.after === undefined ? undefined : bucketKey(session, options.after);
  let previous = after ?? '';
  let pagesWithoutKey = 0;
  do {
    const page = await s3Request(
      session,
      { action: 'list', key: prefix, bodyBytes: 0, signal: options.signal },
      ({ sdk, client }, abortSignal) =>
        client.send(
          new sdk.ListObjectsV2Command({
            Bucket: session.address.bucket,
            Prefix: full,
            MaxKeys: KEYS_PER_PAGE,
            ...(token === undefined ? {} : { ContinuationToken: token }),
            ...(token === undefined && after !== undefined ? { StartAfter: after } : {}),
          }),
          { abortSignal },
        ),
    );
    for (const found of page.Contents ?? []) {
      const key = found.Key ?? '';
      if (!key.startsWith(full)) continue;
      if (previous !== '' && key <= previous) {
        throw new EdgeError(
          'E_STORE',
          `${session.label}: the listing of ${prefix} is not in order; it cannot be trusted to be whole`,
          { retryable: true },
        );
      }
      previous = key;
      pagesWithoutKey = 0;
      // Not an md5: a listing does not say how the object was encrypted.
      const modified = found.LastModified?.getTime();
      yield {
        key: key.slice(strip),
        size: found.Size ?? 0,
        ...(modified === undefined ? {} : { modifiedNs: BigInt(modified) * 1_000_000n }),
      };
    }
    if (++pagesWithoutKey > PAGES_WITHOUT_KEY_MAX)
      throw new EdgeError('E_STORE', `${session.label}: the listing of ${prefix} goes on and names nothing`, {
        retryable: true,
      });
    if (page.IsTruncated === true && (page.NextContinuationToken ?? '') === '') {
      throw new EdgeError(
        'E_STORE',
        `${session.label}: the listing of ${prefix} was cut off without a way to continue`,
        { retryable: true },
      );
    }
    token = page.IsTruncated === true ? page.NextContinuationToken : undefined;
  } while (token !== undefined);
}
