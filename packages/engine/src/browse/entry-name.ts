/** Names as bytes: what a name may be, and how names and paths compare and join. */
import { asBuffer } from '../core/bytes.ts';
import { formatError } from '../core/errors.ts';
import { NAME_BYTES_MAX } from '../core/limits.ts';

const SLASH = 0x2f;
const DOT = 0x2e;

/** E_FORMAT unless the name is one component that stays where it is: a restore creates it below a folder that it holds open. */
export function checkName(name: Uint8Array): void {
  if (name.length === 0) throw formatError('tree entry', 'its name is empty');
  if (name.length > NAME_BYTES_MAX) throw formatError('tree entry', `its name has ${name.length} bytes`);
  if (name[0] === DOT && (name.length === 1 || (name.length === 2 && name[1] === DOT))) {
    throw formatError('tree entry', 'its name is "." or ".."');
  }
  for (let i = 0; i < name.length; i++) {
    if (name[i] === SLASH || name[i] === 0) throw formatError('tree entry', 'its name has a slash or a NUL byte in it');
  }
}

/** Order of name bytes (memcmp). */
export function compareNames(a: Uint8Array, b: Uint8Array): number {
  return Buffer.compare(a, b);
}

/** `folder/name`; the name alone below the top (an empty folder path). */
export function joinPath(folder: Uint8Array, name: Uint8Array): Uint8Array {
  if (folder.length === 0) return name;
  const out = Buffer.allocUnsafe(folder.length + 1 + name.length);
  out.set(folder, 0);
  out[folder.length] = SLASH;
  out.set(name, folder.length + 1);
  return out;
}

/** Components of a path as typed: empty ones and `.` are left out. `..` is kept; whoever resolves it says no. */
export function splitPath(path: Uint8Array): Uint8Array[] {
  const parts: Uint8Array[] = [];
  const bytes = asBuffer(path);
  let from = 0;
  while (from <= bytes.length) {
    const slash = bytes.indexOf(SLASH, from);
    const to = slash === -1 ? bytes.length : slash;
    const part = bytes.subarray(from, to);
    if (part.length > 0 && !(part.length === 1 && part[0] === DOT)) parts.push(part);
    from = to + 1;
  }
  return parts;
}
