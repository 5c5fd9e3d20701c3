/**
 * The S3 client of one store. The SDK takes a fifth of a second to load, so it is imported only when a bucket is first used.
 */
import type { S3Client } from '@aws-sdk/client-s3';
import { EdgeError } from '../../../core/errors.ts';

/** What is needed to reach one bucket. Credentials and what is not given come from the SDK's own chain (environment, profile, role). */
export interface S3Address {
  readonly bucket: string;
  /** Without slashes at its ends; empty for the whole bucket. */
  readonly prefix: string;
  /** Also taken from AWS_ENDPOINT_URL_S3 by the SDK. */
  readonly endpoint?: string;
  readonly region?: string;
  /** Default: path style when there is an endpoint of one's own. */
  readonly pathStyle?: boolean;
  /** For tests; everything else leaves it to the SDK's chain. */
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string };
}

export interface S3Timeouts {
  /** To open a connection. */
  readonly connectMs: number;
  /** Without a byte in either direction: a gateway whose disks hang accepts and never answers. */
  readonly idleMs: number;
}

export const S3_TIMEOUTS: S3Timeouts = { connectMs: 10_000, idleMs: 30_000 };

export type S3Sdk = typeof import('@aws-sdk/client-s3');

export interface S3Connection {
  readonly sdk: S3Sdk;
  readonly client: S3Client;
}

/** Gateways of one's own mostly take any region name; the SDK insists on one, for the signature. */
const REGION_OF_CUSTOM_ENDPOINTS = 'us-east-1';

/**
 * Connects lazily: the first call of the returned function loads the SDK, later ones give the same client.
 * E_CONFIG when no region is known for AWS itself.
 */
export function s3Connector(address: S3Address, timeouts: S3Timeouts): () => Promise<S3Connection> {
  let connection: Promise<S3Connection> | undefined;
  return () => {
    connection ??= connect(address, timeouts);
    return connection;
  };
}

async function connect(address: S3Address, timeouts: S3Timeouts): Promise<S3Connection> {
  const [sdk, { NodeHttpHandler }] = await Promise.all([
    import('@aws-sdk/client-s3'),
    import('@smithy/node-http-handler'),
  ]);
  const options = {
    ...(address.credentials === undefined ? {} : { credentials: address.credentials }),
    // Retrying is the retrying wrapper's job, with one budget for all of a store's requests.
    maxAttempts: 1,
    // Gateways refuse the SDK's checksum trailers; a PUT carries Content-MD5, and every sealed byte has its own digest.
    requestChecksumCalculation: 'WHEN_REQUIRED' as const,
    responseChecksumValidation: 'WHEN_REQUIRED' as const,
    expectContinueHeader: false,
    requestHandler: new NodeHttpHandler({
      connectionTimeout: timeouts.connectMs,
      socketTimeout: timeouts.idleMs,
      httpAgent: { keepAlive: true, maxSockets: 16 },
      httpsAgent: { keepAlive: true, maxSockets: 16 },
    }),
  };
  const probe = new sdk.S3Client(options);
  const endpoint = address.endpoint ?? (await configuredEndpoint(probe));
  const region = address.region ?? (await configuredRegion(probe, endpoint));
  const client = new sdk.S3Client({
    ...options,
    region,
    ...(endpoint === undefined ? {} : { endpoint }),
    forcePathStyle: address.pathStyle ?? endpoint !== undefined,
  });
  return { sdk, client };
}

/** The endpoint that environment or profile name for S3; the SDK resolves it but says so only here. */
async function configuredEndpoint(client: S3Client): Promise<string | undefined> {
  const { serviceConfiguredEndpoint } = client.config as { serviceConfiguredEndpoint?: unknown };
  if (typeof serviceConfiguredEndpoint !== 'function') return undefined;
  const found: unknown = await serviceConfiguredEndpoint();
  return typeof found === 'string' && found !== '' ? found : undefined;
}

async function configuredRegion(client: S3Client, endpoint: string | undefined): Promise<string> {
  try {
    return await client.config.region();
  } catch (cause) {
    if (endpoint !== undefined) return REGION_OF_CUSTOM_ENDPOINTS;
    throw new EdgeError('E_CONFIG', 'no region is known for the bucket', {
      hint: 'Set region in the store, or AWS_REGION in the environment.',
      cause,
    });
  }
}
