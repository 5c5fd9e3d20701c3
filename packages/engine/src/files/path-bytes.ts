/** Paths as bytes: no decoding ever, since names on Linux are bytes. */
import { concatBytes } from '../core/bytes.ts';

const SLASH = 0x2f;
const EMPTY = new Uint8Array(0);

/** `folder/name`; the name alone when the folder is the empty path. */
export function joinPath(folder: Uint8Array, name: Uint8Array): Uint8Array {
  if (folder.length === 0) return name;
  if (name.length === 0) return folder;
  const slash = folder[folder.length - 1] === SLASH ? 0 : 1;
  const out = new Uint8Array(folder.length + slash + name.length);
  out.set(folder, 0);
  if (slash === 1) out[folder.length] = SLASH;
  out.set(name, folder.length + slash);
  return out;
}

/** The components between slashes, without empty ones. */
export function splitPath(path: Uint8Array): Uint8Array[] {
  const parts: Uint8Array[] = [];
  let from = 0;
  for (let at = 0; at <= path.length; at++) {
    if (at !== path.length && path[at] !== SLASH) continue;
    if (at > from) parts.push(path.subarray(from, at));
    from = at + 1;
  }
  return parts;
}

/** The last component; empty for `/`. */
export function lastName(path: Uint8Array): Uint8Array {
  return splitPath(path).at(-1) ?? EMPTY;
}

/** All but the last component, without a slash at its end (except `/` itself). */
export function parentPath(path: Uint8Array): Uint8Array {
  const parts = splitPath(path);
  parts.pop();
  const joined = parts.reduce<Uint8Array>((sum, part) => joinPath(sum, part), EMPTY);
  return path[0] === SLASH ? concatBytes([Buffer.from('/'), joined]) : joined;
}
