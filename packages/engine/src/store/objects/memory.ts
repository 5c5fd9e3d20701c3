/** An object store in memory: for tests, and the model that the other drivers are held to. */
import { createHash } from 'node:crypto';
import { EdgeError } from '../../core/errors.ts';
import type { ObjectStat, ObjectStore } from '../../core/ports/object-store.ts';
import { checkObjectKey, checkObjectPrefix, checkRange, rangeBeyondEnd } from './object-key.ts';

/** Bytes are copied on the way in and out, so that nobody can change what is stored. */
export function createMemoryObjectStore(label = 'memory://'): ObjectStore {
  const objects = new Map<string, { readonly body: Uint8Array; readonly md5: string }>();
  return {
    label,
    capabilities: { conditionalPut: true, statMd5: true },
    async put(key, body, options = {}) {
      checkObjectKey(key);
      options.signal?.throwIfAborted();
      if (options.ifAbsent === true && objects.has(key)) {
        throw new EdgeError('E_BUSY', `${label}${key} exists already`, { context: { store: label, key } });
      }
      objects.set(key, { body: Uint8Array.from(body), md5: createHash('md5').update(body).digest('hex') });
    },
    async get(key, options = {}) {
      checkObjectKey(key);
      checkRange(options.range);
      options.signal?.throwIfAborted();
      const found = objects.get(key);
      if (found === undefined) return undefined;
      const { range } = options;
      if (range === undefined) return Uint8Array.from(found.body);
      if (range.offset + range.length > found.body.length) throw rangeBeyondEnd(label, key, range, found.body.length);
      return Uint8Array.from(found.body.subarray(range.offset, range.offset + range.length));
    },
    async stat(key, options = {}) {
      checkObjectKey(key);
      options.signal?.throwIfAborted();
      const found = objects.get(key);
      return found === undefined ? undefined : { key, size: found.body.length, md5: found.md5 };
    },
    async *list(prefix, options = {}): AsyncGenerator<ObjectStat> {
      checkObjectPrefix(prefix);
      const { after = '' } = options;
      const keys = [...objects.keys()].filter((key) => key.startsWith(prefix) && key > after).sort();
      for (const key of keys) {
        options.signal?.throwIfAborted();
        const found = objects.get(key);
        if (found !== undefined) yield { key, size: found.body.length, md5: found.md5 };
      }
    },
    async delete(key, options = {}) {
      checkObjectKey(key);
      options.signal?.throwIfAborted();
      objects.delete(key);
    },
  };
}
