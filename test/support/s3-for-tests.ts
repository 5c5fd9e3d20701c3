/**
 * The S3 engine that tests run against: the RADOS gateway where it is installed (or may be: EDGESTORE_TEST_INSTALL=1), else the project's own
 * server, and then it is said aloud. With EDGESTORE_TEST_INSTALL=1 a gateway that does not start is a failure.
 */
import { join } from 'node:path';
import { startS3Server } from '../s3-server/server.ts';
import { type S3Keys, signRequest } from '../s3-server/sigv4.ts';
import { TEST_KEYS } from '../s3-server/test-keys.ts';
import { installRadosGateway, isRadosGatewayInstalled, startRadosGateway } from './rados-gateway.ts';

export interface S3ForTests {
  readonly endpoint: string;
  readonly engine: 'the RADOS gateway' | 'the project’s own S3 server';
  readonly keys: S3Keys;
  /** A second user, who may do nothing in the first one's buckets. */
  readonly otherKeys: S3Keys;
  stop(): Promise<void>;
}

/** `dir` must be an empty folder that the caller removes after `stop`. */
export async function s3ForTests(dir: string): Promise<S3ForTests> {
  return (await gatewayForTests(dir)) ?? ownServerForTests(dir);
}

/** Undefined, with a line on stderr, where the gateway is not installed and nobody allowed to install it. */
export async function gatewayForTests(dir: string): Promise<S3ForTests | undefined> {
  const mayInstall = process.env.EDGESTORE_TEST_INSTALL === '1';
  if (!isRadosGatewayInstalled()) {
    if (!mayInstall) {
      process.stderr.write(
        'SKIPPED: the RADOS gateway is not installed (EDGESTORE_TEST_INSTALL=1 installs it); S3 tests run on the project’s own server only.\n',
      );
      return undefined;
    }
    installRadosGateway();
  }
  const gateway = await startRadosGateway(join(dir, 'ceph'));
  return {
    endpoint: gateway.endpoint,
    engine: 'the RADOS gateway',
    keys: TEST_KEYS.first,
    otherKeys: TEST_KEYS.other,
    stop: gateway.stop,
  };
}

export async function ownServerForTests(dir: string): Promise<S3ForTests> {
  const server = await startS3Server({ dir: join(dir, 's3'), keys: Object.values(TEST_KEYS) });
  return {
    endpoint: server.endpoint,
    engine: 'the project’s own S3 server',
    keys: TEST_KEYS.first,
    otherKeys: TEST_KEYS.other,
    stop: server.close,
  };
}

let buckets = 0;

/** Makes a bucket of a name not used before by this process. */
export async function newBucket(s3: S3ForTests): Promise<string> {
  const bucket = `test-${process.pid}-${buckets++}`;
  const url = new URL(`/${bucket}`, s3.endpoint);
  const answer = await fetch(url, {
    method: 'PUT',
    headers: signRequest({ method: 'PUT', url, headers: {}, body: undefined }, s3.keys, Date.now()),
  });
  if (!answer.ok) throw new Error(`cannot make the bucket ${bucket}: ${answer.status} ${await answer.text()}`);
  return bucket;
}
