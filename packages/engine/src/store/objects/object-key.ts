/** Which keys an object store takes: names that mean the same on every driver, and that never leave a folder driver's folder. */
import { EdgeError } from '../../core/errors.ts';
import { PACK_BYTES_MAX } from '../../core/limits.ts';

/** S3's own bound (1024 bytes) less room for the configured prefix. */
export const OBJECT_KEY_LENGTH_MAX = 768;
/** Folder stores keep their unfinished writes below this name, so no key may begin with it. */
export const UNFINISHED_FOLDER = '.edgestore-unfinished';

const KEY = /^[A-Za-z0-9._-]+(\/[A-Za-z0-9._-]+)*$/;
const PREFIX = /^([A-Za-z0-9._-]+\/)*[A-Za-z0-9._-]*$/;

/** E_USAGE unless `key` is one that every driver can keep. */
export function checkObjectKey(key: string): void {
  if (key.length > OBJECT_KEY_LENGTH_MAX || !KEY.test(key)) throw badKey(key);
  checkParts(key);
}

/** E_USAGE unless `prefix` can be the beginning of a key; the empty prefix is every key. */
export function checkObjectPrefix(prefix: string): void {
  if (prefix.length > OBJECT_KEY_LENGTH_MAX || !PREFIX.test(prefix)) throw badKey(prefix);
  checkParts(prefix);
}

/** E_USAGE unless a range is of whole, non-negative numbers. */
export function checkRange(range: { readonly offset: number; readonly length: number } | undefined): void {
  if (range === undefined) return;
  if (
    !Number.isSafeInteger(range.offset) ||
    !Number.isSafeInteger(range.length) ||
    range.offset < 0 ||
    range.length < 0
  ) {
    throw new EdgeError('E_USAGE', `not a range of bytes: ${range.length} from ${range.offset}`);
  }
}

/** The error for a range that reaches past the end of an object: what should be there is not. */
export function rangeBeyondEnd(
  label: string,
  key: string,
  range: { readonly offset: number; readonly length: number },
  size?: number,
): EdgeError {
  const has = size === undefined ? 'is shorter' : `has ${size} bytes`;
  return new EdgeError(
    'E_INTEGRITY',
    `${label}/${key}: wanted ${range.length} bytes from ${range.offset}, but it ${has}`,
    {
      context: { store: label, key, ...range, ...(size === undefined ? {} : { size }) },
    },
  );
}

function checkParts(key: string): void {
  const parts = key.split('/');
  if (parts.includes('.') || parts.includes('..') || parts[0] === UNFINISHED_FOLDER) throw badKey(key);
}

function badKey(key: string): EdgeError {
  return new EdgeError('E_USAGE', `not a key that an object store takes: ${JSON.stringify(key.slice(0, 200))}`);
}

/** E_LIMIT for an object that is read as a whole: nothing that edgestore stores is larger than a pack. */
export function refuseLarge(label: string, key: string, size: number): void {
  if (size <= PACK_BYTES_MAX) return;
  throw new EdgeError('E_LIMIT', `${label}/${key} has ${size} bytes; nothing that edgestore stores is that large`, {
    context: { store: label, key, size },
  });
}
