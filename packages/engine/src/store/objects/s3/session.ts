/** What the five verbs of one S3 store share. */
import type { Clock } from '../../../core/clock.ts';
import type { S3Address, S3Connection } from './client.ts';
import { requestDeadlineMs, withDeadline } from './deadline.ts';
import { noSuchBucket, type S3Action, s3Error, s3Status } from './errors.ts';

export interface S3Session {
  readonly address: S3Address;
  /** `s3://bucket/prefix`. */
  readonly label: string;
  readonly connect: () => Promise<S3Connection>;
  readonly clock: Clock;
  /** The storage class for a key; undefined for the bucket's default. */
  readonly storageClassOf: (key: string) => string | undefined;
  /** Set once anything showed that the bucket exists: an absent object looks like an absent bucket to HEAD. */
  bucketSeen: boolean;
}

/** The key in the bucket of a store's key or list prefix. */
export function bucketKey(session: S3Session, key: string): string {
  return session.address.prefix === '' ? key : `${session.address.prefix}/${key}`;
}

/** Runs one request under its deadline, and maps what it throws. */
export async function s3Request<T>(
  session: S3Session,
  request: {
    readonly action: S3Action;
    readonly key: string;
    readonly bodyBytes: number;
    readonly signal: AbortSignal | undefined;
  },
  run: (connection: S3Connection, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { action, key } = request;
  try {
    const connection = await session.connect();
    const done = await withDeadline(
      {
        clock: session.clock,
        ms: requestDeadlineMs(request.bodyBytes),
        signal: request.signal,
        what: `${session.label}: ${action} ${key}`,
      },
      (signal) => run(connection, signal),
    );
    session.bucketSeen = true;
    return done;
  } catch (error) {
    throw s3Error(error, { action, label: session.label, bucket: session.address.bucket, key });
  }
}

/** For a 404 that does not say what is absent: E_NO_BUCKET when it is the bucket. One request, once. */
export async function assertBucketExists(
  session: S3Session,
  connection: S3Connection,
  signal: AbortSignal,
): Promise<void> {
  if (session.bucketSeen) return;
  try {
    await connection.client.send(new connection.sdk.HeadBucketCommand({ Bucket: session.address.bucket }), {
      abortSignal: signal,
    });
  } catch (error) {
    if (s3Status(error) === 404) throw noSuchBucket({ label: session.label, bucket: session.address.bucket }, error);
    // Whoever may read objects need not be allowed to ask for the bucket; a 404 for the object came from somewhere, so it exists.
    if (s3Status(error) !== 403) throw error;
  }
  session.bucketSeen = true;
}
