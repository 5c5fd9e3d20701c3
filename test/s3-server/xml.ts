/** The few XML documents that S3 answers with. */
import type { StoredObject } from './disk.ts';

const HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n';
const NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"';

export function errorXml(code: string, message: string, resource: string): string {
  return `${HEAD}<Error><Code>${escapeXml(code)}</Code><Message>${escapeXml(message)}</Message><Resource>${escapeXml(resource)}</Resource><RequestId>0</RequestId></Error>`;
}

export function bucketsXml(owner: string, buckets: readonly string[]): string {
  const items = buckets
    .map((name) => `<Bucket><Name>${name}</Name><CreationDate>2020-01-01T00:00:00.000Z</CreationDate></Bucket>`)
    .join('');
  return `${HEAD}<ListAllMyBucketsResult ${NAMESPACE}><Owner><ID>${escapeXml(owner)}</ID></Owner><Buckets>${items}</Buckets></ListAllMyBucketsResult>`;
}

export interface ListPage {
  readonly bucket: string;
  readonly prefix: string;
  readonly maxKeys: number;
  readonly objects: readonly StoredObject[];
  readonly commonPrefixes: readonly string[];
  readonly token: string | undefined;
  readonly nextToken: string | undefined;
}

export function listXml(page: ListPage): string {
  const objects = page.objects.map(
    (object) =>
      `<Contents><Key>${escapeXml(object.key)}</Key><LastModified>${new Date(object.modified).toISOString()}</LastModified>` +
      `<ETag>&quot;${object.md5}&quot;</ETag><Size>${object.size}</Size><StorageClass>${escapeXml(object.storageClass)}</StorageClass></Contents>`,
  );
  const prefixes = page.commonPrefixes.map(
    (prefix) => `<CommonPrefixes><Prefix>${escapeXml(prefix)}</Prefix></CommonPrefixes>`,
  );
  return (
    `${HEAD}<ListBucketResult ${NAMESPACE}><Name>${page.bucket}</Name><Prefix>${escapeXml(page.prefix)}</Prefix>` +
    `<KeyCount>${page.objects.length + page.commonPrefixes.length}</KeyCount><MaxKeys>${page.maxKeys}</MaxKeys><IsTruncated>${page.nextToken !== undefined}</IsTruncated>` +
    `${page.token === undefined ? '' : `<ContinuationToken>${escapeXml(page.token)}</ContinuationToken>`}` +
    `${page.nextToken === undefined ? '' : `<NextContinuationToken>${escapeXml(page.nextToken)}</NextContinuationToken>`}` +
    `${objects.join('')}${prefixes.join('')}</ListBucketResult>`
  );
}

/** Control characters too: a listing must be able to name any key. */
function escapeXml(text: string): string {
  return Array.from(text, (c) => (c < ' ' || '<>&\'"'.includes(c) ? `&#${c.codePointAt(0)};` : c)).join('');
}
