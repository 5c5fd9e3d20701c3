/** Finds out what a root's path is: a folder, a file, or nothing. */
import { realpathSync } from 'node:fs';
import { EdgeError, errnoOf, toEdgeError } from '../core/errors.ts';
import { type FileStat, statAt, statFd } from '../files/file-stat.ts';
import { AT_FDCWD } from '../files/libc.ts';
import { closeFd, openFolder } from '../files/open-file.ts';
import { lastName, parentPath } from '../files/path-bytes.ts';
import { readXattrs } from '../files/xattr.ts';
import { escapeName } from '../policy/escape-name.ts';
import type { Entry } from '../tree/entry.ts';

export type RootSource =
  | {
      readonly kind: 'folder';
      /** Absolute, with no symlink in it. */
      readonly base: Uint8Array;
      /** The root's own entry, without pages. */
      readonly entry: Entry;
      readonly inode: string;
      readonly device: string;
    }
  | { readonly kind: 'file'; readonly base: Uint8Array; readonly name: Uint8Array };

const EMPTY = new Uint8Array(0);

/** E_NOT_FOUND when there is nothing, E_DENIED when it may not be looked at, E_USAGE when it is neither folder nor file. */
export function findRootSource(path: Uint8Array): RootSource {
  const shown = escapeName(path);
  if (path[0] !== 0x2f) throw new EdgeError('E_USAGE', `a root's path must be absolute: ${shown}`);
  try {
    const real = realpathSync.native(Buffer.from(path), { encoding: 'buffer' }) as unknown as Buffer;
    const found = statAt(AT_FDCWD, real);
    if (found?.kind === 'dir') return folderAt(new Uint8Array(real));
    if (found?.kind === 'file') return { kind: 'file', base: parentPath(real), name: lastName(real) };
    throw new EdgeError('E_USAGE', `${shown} is neither a folder nor a file`);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ENOENT' || errno === 'ENOTDIR') {
      throw new EdgeError('E_NOT_FOUND', `there is no ${shown}`, {
        hint: 'Check the path, and that its disk is mounted. Nothing was deleted from the backup.',
        cause: error,
      });
    }
    if (errno === 'EACCES' || errno === 'EPERM') {
      throw new EdgeError('E_DENIED', `${shown} may not be read`, {
        hint: 'Run edgestore as a user who may.',
        context: { errno },
        cause: error,
      });
    }
    throw toEdgeError(error, shown);
  }
}

function folderAt(base: Uint8Array): RootSource {
  const dir = openFolder(base, EMPTY);
  try {
    const found = statFd(dir);
    const xattrs = readXattrs({ fd: dir });
    const { mode, uid, gid, mtimeNs } = found;
    const posix = { mode, uid, gid, ...(xattrs.length === 0 ? {} : { xattrs }) };
    const entry: Entry = { name: EMPTY, type: 'dir', mtimeNs, posix, pages: [] };
    return { kind: 'folder', base, entry, inode: inodeOf(found), device: `${found.devMajor}:${found.devMinor}` };
  } finally {
    closeFd(dir);
  }
}

/** Inodes (as `inodeKey` writes them) of folders that no capture may go into; those that are not there are left out. */
export function inodesOf(paths: readonly string[]): string[] {
  return paths.flatMap((path) => {
    const found = statAt(AT_FDCWD, Buffer.from(path));
    return found === undefined ? [] : [inodeOf(found)];
  });
}

function inodeOf({ devMajor, devMinor, ino }: FileStat): string {
  return `${devMajor}:${devMinor}:${ino >> 32n}:${ino & 0xffff_ffffn}`;
}
