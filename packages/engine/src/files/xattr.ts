/** Extended attributes of a path (the link itself, when it is one) or an open file, names and values as bytes. */
import { asBuffer } from '../core/bytes.ts';
import { cString } from './c-string.ts';
import { lastErrno, libc } from './libc.ts';
import { EINTR, EINVAL, ENODATA, ENOSYS, ENOTSUP, ERANGE, systemError } from './system-error.ts';

export interface XattrPair {
  readonly name: Uint8Array;
  readonly value: Uint8Array;
}

/** An open file, or a path that is not followed when it is a symlink. */
export type XattrPlace = { readonly fd: number } | { readonly path: Uint8Array };

/** The kernel's own limits (linux/limits.h). */
const LIST_BYTES_MAX = 65536;
const VALUE_BYTES_MAX = 65536;
/** A list or value may grow between asking for its length and reading it; so often it is asked again. */
const ATTEMPTS_MAX = 8;

const list = Buffer.allocUnsafeSlow(LIST_BYTES_MAX);
const value = Buffer.allocUnsafeSlow(VALUE_BYTES_MAX);

/** All attributes, sorted by name; none where the file system has no such thing. Attributes that may not be read are thrown as EACCES. */
export function readXattrs(place: XattrPlace): XattrPair[] {
  const filled = repeat('listxattr', () =>
    'fd' in place
      ? libc.flistxattr(place.fd, list, LIST_BYTES_MAX)
      : libc.llistxattr(cString(place.path), list, LIST_BYTES_MAX),
  );
  if (filled === undefined || filled === 0) return [];
  const names: Buffer[] = [];
  for (let at = 0; at < filled; ) {
    const end = list.indexOf(0, at);
    names.push(Buffer.from(list.subarray(at, end)));
    at = end + 1;
  }
  const pairs: XattrPair[] = [];
  for (const name of names.sort(Buffer.compare)) {
    const found = readXattr(place, name);
    if (found !== undefined) pairs.push({ name, value: found });
  }
  return pairs;
}

/** One attribute's value, or undefined when there is none of that name. */
export function readXattr(place: XattrPlace, name: Uint8Array): Uint8Array | undefined {
  const length = repeat('getxattr', () =>
    'fd' in place
      ? libc.fgetxattr(place.fd, cString(name), value, VALUE_BYTES_MAX)
      : libc.lgetxattr(cString(place.path), cString(name), value, VALUE_BYTES_MAX),
  );
  return length === undefined ? undefined : new Uint8Array(value.subarray(0, length));
}

/** Sets one attribute, whether or not it was there. Throws ENOTSUP, EPERM … as system errors. */
export function writeXattr(place: XattrPlace, name: Uint8Array, bytes: Uint8Array): void {
  const done =
    'fd' in place
      ? libc.fsetxattr(place.fd, cString(name), asBuffer(bytes), bytes.length, 0)
      : libc.lsetxattr(cString(place.path), cString(name), asBuffer(bytes), bytes.length, 0);
  if (done !== 0) throw systemError('setxattr');
}

/** Removes one attribute; absent is no error. */
export function removeXattr(place: XattrPlace, name: Uint8Array): void {
  const done =
    'fd' in place ? libc.fremovexattr(place.fd, cString(name)) : libc.lremovexattr(cString(place.path), cString(name));
  if (done !== 0 && lastErrno() !== ENODATA) throw systemError('removexattr');
}

/** The call's length; undefined where there is no attribute, or no attributes at all. */
function repeat(what: string, call: () => number): number | undefined {
  for (let attempt = 1; ; attempt++) {
    const result = call();
    if (result >= 0) return result;
    const errno = lastErrno();
    if (errno === ENODATA || errno === ENOTSUP || errno === ENOSYS) return undefined;
    if (errno === EINTR || (errno === ERANGE && attempt < ATTEMPTS_MAX)) continue;
    // Some network file systems answer EINVAL for namespaces that they do not have.
    if (errno === EINVAL) return undefined;
    throw systemError(what, errno);
  }
}
