/** From a store's configuration to a store that retries, counts and keeps to the configured rates. */
import type { Clock, RandomBytes } from '../../core/clock.ts';
import { EdgeError } from '../../core/errors.ts';
import type { ObjectStore } from '../../core/ports/object-store.ts';
import { storageClassProblem } from '../../policy/storage-class.ts';
import { parseBucketKey } from '../bucket/bucket-layout.ts';
import { openFolderObjectStore } from './folder.ts';
import { measured, type StoreCounts } from './measured.ts';
import { type RetryLimits, retrying } from './retrying.ts';
import type { S3Timeouts } from './s3/client.ts';
import { createS3ObjectStore } from './s3/s3-object-store.ts';
import { type RateLimiter, throttled } from './throttled.ts';

/** One `[stores.<name>]` of the configuration, or what `recover --from URL` was given. */
export interface ObjectStoreConfig {
  /** Its name in the configuration, for messages. */
  readonly name: string;
  /** `s3://bucket/prefix` or `file:///folder`. */
  readonly url: string;
  readonly endpoint?: string;
  readonly region?: string;
  readonly pathStyle?: boolean;
  /** Of data packs only: trees, log, slots and cards are small, and every walk reads them. */
  readonly storageClass?: string;
}

export interface ObjectStoreDeps {
  readonly clock: Clock;
  readonly random: RandomBytes;
  /** Filled with every request made, retries included. */
  readonly counts?: StoreCounts;
  readonly limits?: { readonly upload: RateLimiter; readonly download: RateLimiter };
  readonly retry?: RetryLimits;
  readonly timeouts?: S3Timeouts;
  /** For tests; otherwise the SDK's own chain finds them. */
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string };
}

/** Asks nothing of the store yet. E_CONFIG for an url or endpoint that cannot be one. */
export function openObjectStore(config: ObjectStoreConfig, deps: ObjectStoreDeps): ObjectStore {
  const driver = openDriver(config, deps);
  const counted = deps.counts === undefined ? driver : measured(driver, deps.counts);
  const limited = deps.limits === undefined ? counted : throttled(counted, deps.limits);
  return retrying(limited, deps, deps.retry);
}

function openDriver(config: ObjectStoreConfig, deps: ObjectStoreDeps): ObjectStore {
  const { url } = config;
  if (url.startsWith('file://')) return openFolderObjectStore({ folder: folderOf(config) }, deps);
  const found = /^s3:\/\/([^/]+)(?:\/(.*))?$/.exec(url);
  if (found === null) throw badStore(config, `is not s3://bucket/prefix or file:///folder: ${url}`);
  const bucket = found[1] ?? '';
  const prefix = (found[2] ?? '').replace(/\/+$/, '');
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]$/.test(bucket))
    throw badStore(config, `names no possible bucket: ${bucket}`);
  if (prefix !== '' && (!/^[A-Za-z0-9._-]+(\/[A-Za-z0-9._-]+)*$/.test(prefix) || prefix.length > 200)) {
    throw badStore(
      config,
      `has a prefix of other characters than letters, digits, dot, dash, underscore and slash, or is too long: ${prefix}`,
    );
  }
  if (config.endpoint !== undefined) checkEndpoint(config, config.endpoint);
  const { storageClass } = config;
  const problem = storageClass === undefined ? undefined : storageClassProblem(storageClass);
  if (problem !== undefined) throw badStore(config, `has the storage class ${storageClass}, which ${problem}`);
  return createS3ObjectStore(
    {
      address: {
        bucket,
        prefix,
        ...(config.endpoint === undefined ? {} : { endpoint: config.endpoint }),
        ...(config.region === undefined ? {} : { region: config.region }),
        ...(config.pathStyle === undefined ? {} : { pathStyle: config.pathStyle }),
        ...(deps.credentials === undefined ? {} : { credentials: deps.credentials }),
      },
      ...(storageClass === undefined
        ? {}
        : { storageClassOf: (key: string) => (isDataPack(key) ? storageClass : undefined) }),
      ...(deps.timeouts === undefined ? {} : { timeouts: deps.timeouts }),
    },
    deps,
  );
}

function isDataPack(key: string): boolean {
  const found = parseBucketKey(key);
  return found?.kind === 'pack' && found.packClass === 'data';
}

function folderOf(config: ObjectStoreConfig): string {
  let path: string;
  try {
    const url = new URL(config.url);
    if (url.host !== '') throw badStore(config, `must have three slashes (file:///folder), not a host: ${config.url}`);
    path = decodeURIComponent(url.pathname);
  } catch (cause) {
    if (cause instanceof EdgeError) throw cause;
    throw badStore(config, `is not file:///folder: ${config.url}`);
  }
  const folder = path.replace(/\/+$/, '');
  if (folder === '' || folder.includes('\0')) throw badStore(config, `names no folder of its own: ${config.url}`);
  return folder;
}

function checkEndpoint(config: ObjectStoreConfig, endpoint: string): void {
  let url: URL | undefined;
  try {
    url = new URL(endpoint);
  } catch {
    url = undefined;
  }
  if (url === undefined || (url.protocol !== 'https:' && url.protocol !== 'http:'))
    throw badStore(config, `has an endpoint that is no http or https address: ${endpoint}`);
  if (url.username !== '' || url.password !== '')
    throw badStore(
      config,
      'has an endpoint with a user or password in it; credentials come from the environment or a profile',
    );
}

function badStore(config: ObjectStoreConfig, problem: string): EdgeError {
  return new EdgeError('E_CONFIG', `the store ${config.name} ${problem}`, { context: { store: config.name } });
}
