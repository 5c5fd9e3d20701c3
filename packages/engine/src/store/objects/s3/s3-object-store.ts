/** The S3 driver: one request a verb, no retrying (a wrapper does that). */
import type { Clock } from '../../../core/clock.ts';
import type { ObjectStore } from '../../../core/ports/object-store.ts';
import { checkObjectKey, checkObjectPrefix, checkRange, rangeBeyondEnd } from '../object-key.ts';
import { S3_TIMEOUTS, type S3Address, type S3Timeouts, s3Connector } from './client.ts';
import { deleteObject } from './delete.ts';
import { getObject } from './get.ts';
import { listObjects } from './list.ts';
import { putObject } from './put.ts';
import type { S3Session } from './session.ts';
import { statObject } from './stat.ts';

export interface S3ObjectStoreInput {
  readonly address: S3Address;
  readonly storageClassOf?: (key: string) => string | undefined;
  readonly timeouts?: S3Timeouts;
}

/** Connects at the first verb. Errors: see `s3Error`. */
export function createS3ObjectStore(input: S3ObjectStoreInput, deps: { readonly clock: Clock }): ObjectStore {
  const { address } = input;
  const label = `s3://${address.bucket}${address.prefix === '' ? '' : `/${address.prefix}`}`;
  const session: S3Session = {
    address,
    label,
    connect: s3Connector(address, input.timeouts ?? S3_TIMEOUTS),
    clock: deps.clock,
    storageClassOf: input.storageClassOf ?? (() => undefined),
    bucketSeen: false,
  };
  return {
    label,
    capabilities: { conditionalPut: true, statMd5: true },
    async put(key, body, options = {}) {
      checkObjectKey(key);
      await putObject(session, key, body, options);
    },
    async get(key, options = {}) {
      checkObjectKey(key);
      checkRange(options.range);
      if (options.range?.length === 0) {
        // HTTP has no empty range.
        const found = await statObject(session, key, options);
        if (found !== undefined && options.range.offset > found.size)
          throw rangeBeyondEnd(label, key, options.range, found.size);
        return found === undefined ? undefined : new Uint8Array(0);
      }
      return getObject(session, key, options);
    },
    async stat(key, options = {}) {
      checkObjectKey(key);
      return statObject(session, key, options);
    },
    async *list(prefix, options = {}) {
      checkObjectPrefix(prefix);
      yield* listObjects(session, prefix, options);
    },
    async delete(key, options = {}) {
      checkObjectKey(key);
      await deleteObject(session, key, options);
    },
  };
}
