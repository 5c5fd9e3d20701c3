/** Tree entries of what has no content of its own: folders, symlinks, FIFOs and devices. */
import { decodeStatx } from '../files/file-stat.ts';
import { readLinkAt } from '../files/make-entry.ts';
import { procPath } from '../files/open-file.ts';
import { joinPath } from '../files/path-bytes.ts';
import { readXattrs } from '../files/xattr.ts';
import type { Entry, PosixMeta } from '../tree/entry.ts';
import { TYPE_CODES } from './folder-state.ts';

/** The type of an entry by the upper four bits of its mode; a socket, and what nobody knows, has none. */
export const TYPE_OF_MODE: Readonly<Record<number, number>> = {
  8: TYPE_CODES.file,
  4: TYPE_CODES.dir,
  10: TYPE_CODES.symlink,
  1: TYPE_CODES.fifo,
  2: TYPE_CODES.chardev,
  6: TYPE_CODES.blockdev,
};
export const SOCKET_MODE = 12;

/** `statx`: what the call of that name said of it. `dir`: its folder, open, which lies at `base/folder`. Throws system errors. */
export function describeOther(
  type: number,
  name: Buffer,
  statx: Buffer,
  dir: number,
  base: Uint8Array,
  folder: Uint8Array,
): Entry {
  const found = decodeStatx(statx);
  const xattrs = readXattrs({ path: pathOf(name, dir, base, folder) });
  const posix: PosixMeta = {
    mode: found.mode,
    uid: found.uid,
    gid: found.gid,
    ...(xattrs.length === 0 ? {} : { xattrs }),
  };
  const common = { name, mtimeNs: found.mtimeNs };
  switch (type) {
    case TYPE_CODES.dir:
      return { ...common, type: 'dir', posix, pages: [] };
    case TYPE_CODES.symlink:
      return { ...common, type: 'symlink', posix, target: readLinkAt(dir, name) };
    case TYPE_CODES.fifo:
      return { ...common, type: 'fifo', posix };
    default: {
      const rdev = { major: found.rdevMajor, minor: found.rdevMinor };
      return { ...common, type: type === TYPE_CODES.chardev ? 'chardev' : 'blockdev', posix: { ...posix, rdev } };
    }
  }
}

/** By the whole path where the kernel takes it (twice as fast), else through the open folder. */
function pathOf(name: Buffer, dir: number, base: Uint8Array, folder: Uint8Array): Uint8Array {
  if (base.length + folder.length + name.length < WHOLE_PATH_BYTES_MAX) return joinPath(joinPath(base, folder), name);
  return procPath(dir, name);
}

const WHOLE_PATH_BYTES_MAX = 3900;
