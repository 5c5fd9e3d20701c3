/** The bucket of the quickstart: a given endpoint, else the RADOS gateway where it is installed, else the project's own server process. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { TEST_KEYS } from '../s3-server/test-keys.ts';
import { isRadosGatewayInstalled, startRadosGateway } from '../support/rados-gateway.ts';

export const BUCKET = 'edgestore-quickstart';

export interface QuickstartS3 {
  readonly endpoint: string;
  /** For the table: which engine it is. */
  readonly what: string;
  readonly accessKey: string;
  readonly secretKey: string;
  stop(): Promise<void>;
}

/** `dir` is made when needed. A given endpoint takes its keys from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. */
export async function startS3(dir: string, given: string | undefined): Promise<QuickstartS3> {
  const s3 =
    given !== undefined ? givenS3(given) : isRadosGatewayInstalled() ? await gateway(dir) : await ownServer(dir);
  await makeBucket(s3);
  return s3;
}

function givenS3(endpoint: string): QuickstartS3 {
  const { AWS_ACCESS_KEY_ID: accessKey, AWS_SECRET_ACCESS_KEY: secretKey } = process.env;
  if (accessKey === undefined || secretKey === undefined) {
    throw new Error('--s3-endpoint needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment');
  }
  return { endpoint, what: `the given endpoint ${endpoint}`, accessKey, secretKey, stop: async () => {} };
}

async function gateway(dir: string): Promise<QuickstartS3> {
  const started = await startRadosGateway(dir);
  return { ...keys(), endpoint: started.endpoint, what: 'a real Ceph RADOS gateway', stop: started.stop };
}

async function ownServer(dir: string): Promise<QuickstartS3> {
  const main = fileURLToPath(new URL('../s3-server/main.ts', import.meta.url));
  const child = spawn(process.execPath, [main, '--dir', dir], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [endpoint] = (await once(createInterface(child.stdout), 'line')) as [string];
  return {
    ...keys(),
    endpoint,
    what: 'the project’s own S3 server (no radosgw installed, no --s3-endpoint given)',
    stop: () => end(child),
  };
}

function keys(): { accessKey: string; secretKey: string } {
  return { accessKey: TEST_KEYS.first.accessKeyId, secretKey: TEST_KEYS.first.secretAccessKey };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}

/** A bucket that is there already (a given endpoint, a second run) is used as it is. */
async function makeBucket({ endpoint, accessKey, secretKey }: QuickstartS3): Promise<void> {
  const client = new S3Client({
    endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { accessKeyId: accessKey, secretAccessKey: secretKey },
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
  try {
    await client.send(new CreateBucketCommand({ Bucket: BUCKET }));
  } catch (error) {
    if (!(error instanceof Error) || !['BucketAlreadyOwnedByYou', 'BucketAlreadyExists'].includes(error.name))
      throw error;
  } finally {
    client.destroy();
  }
}
