/** Two users that every S3 engine of the tests knows. They guard nothing but temporary folders on loopback. */
import type { S3Keys } from './sigv4.ts';

export const TEST_KEYS: { readonly first: S3Keys; readonly other: S3Keys } = {
  first: { accessKeyId: 'edgestoretestkey', secretAccessKey: 'edgestore-test-secret' },
  other: { accessKeyId: 'edgestoreotherkey', secretAccessKey: 'edgestore-other-secret' },
};
