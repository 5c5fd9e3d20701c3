/** Where a bucket is, as a digest: two names of one bucket count once as copy and as site (docs/chain.md 5.4, 6.2). */
import { createHash } from 'node:crypto';
import type { HexId } from '../../core/ids.ts';

export interface StoreAddress {
  /** `s3://bucket/prefix` or `file:///folder` */
  readonly url: string;
  readonly endpoint?: string | undefined;
}

/** SHA-256 of the normalised endpoint and the bucket's name. A folder is known by its store id alone, since its path says nothing on another machine. */
export function locationOf({ url, endpoint }: StoreAddress, storeId: HexId): HexId {
  const bucket = /^s3:\/\/([^/]+)/.exec(url)?.[1];
  const place = bucket === undefined ? ['file', storeId] : [normalEndpoint(endpoint), bucket];
  return createHash('sha256').update(place.join('\0')).digest('hex');
}

/** Amazon's endpoints of all regions are one place: a bucket's name is unique in them. */
function normalEndpoint(endpoint: string | undefined): string {
  if (endpoint === undefined || endpoint === '') return 'amazonaws.com';
  const { protocol, host } = new URL(endpoint);
  if (/(^|\.)amazonaws\.com$/.test(host)) return 'amazonaws.com';
  return `${protocol}//${host}`.toLowerCase();
}
