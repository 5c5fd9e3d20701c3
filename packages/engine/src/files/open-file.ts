/** Opening files and folders safely by bytes: no symlink at the end, no blocking on what is no file, no limit on the path's length. */
import { constants } from 'node:fs';
import { cString } from './c-string.ts';
import { AT_FDCWD, lastErrno, libc } from './libc.ts';
import { joinPath, splitPath } from './path-bytes.ts';
import { EINTR, EMFILE, ENFILE, EPERM, systemError } from './system-error.ts';

const O_CLOEXEC = 0o2000000;
const O_NOATIME = 0o1000000;
const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK } = constants;

/** Longest path handed to the kernel in one piece; its own limit is 4096 with the NUL. */
const PATH_BYTES_MAX = 4000;

export interface OpenOptions {
  /** False throws EMFILE at once when the process is out of descriptors, for a caller that can close some itself. */
  readonly isPatient?: boolean;
}

/**
 * Opens `name` in the open folder `dir`. Flags as in `fs.constants`; close-on-exec is added; `mode` is for a file that is made. When the process is out of descriptors it
 * waits for others to be closed, up to a few seconds, before it throws EMFILE.
 */
export function openAt(dir: number, name: Uint8Array, flags: number, mode = 0, options: OpenOptions = {}): number {
  const { isPatient = true } = options;
  for (let attempt = 0; ; attempt++) {
    const fd = libc.openat(dir, cString(name), flags | O_CLOEXEC, mode);
    if (fd >= 0) return fd;
    const errno = lastErrno();
    if (errno === EINTR) continue;
    if ((errno === EMFILE || errno === ENFILE) && isPatient && attempt < DESCRIPTOR_WAITS_MAX) {
      Atomics.wait(sleepCell, 0, 0, DESCRIPTOR_WAIT_MS);
      continue;
    }
    throw systemError('openat', errno);
  }
}

const DESCRIPTOR_WAIT_MS = 50;
const DESCRIPTOR_WAITS_MAX = 100;
const sleepCell = new Int32Array(new SharedArrayBuffer(4));

/**
 * Opens a file for reading without following a symlink (ELOOP), without waiting for a FIFO's writer, and without touching its access time
 * where that is permitted (it is the owner's right).
 */
export function openForReading(dir: number, name: Uint8Array, options: OpenOptions = {}): number {
  const flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;
  try {
    return openAt(dir, name, flags | O_NOATIME, 0, options);
  } catch (error) {
    if ((error as { errno?: number }).errno !== -EPERM) throw error;
    return openAt(dir, name, flags, 0, options);
  }
}

/** Opens a folder in an open folder, not following a symlink (ENOTDIR or ELOOP). */
export function openFolderAt(dir: number, name: Uint8Array): number {
  return openAt(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

/**
 * Opens the folder at `base/path` of any length: a path that is too long for the kernel is walked in pieces. The base is followed when it is a
 * symlink, and no component of `path` is at its end. The caller closes it.
 */
export function openFolder(base: Uint8Array, path: Uint8Array): number {
  if (path.length === 0) return openAt(AT_FDCWD, base, O_RDONLY | O_DIRECTORY);
  const whole = joinPath(base, path);
  if (whole.length <= PATH_BYTES_MAX) return openFolderAt(AT_FDCWD, whole);
  let fd = openAt(AT_FDCWD, base, O_RDONLY | O_DIRECTORY);
  for (const piece of piecesOf(path)) {
    try {
      const next = openFolderAt(fd, piece);
      libc.close(fd);
      fd = next;
    } catch (error) {
      libc.close(fd);
      throw error;
    }
  }
  return fd;
}

/** Runs with the folder open, and closes it whatever happens. */
export function withFolder<Result>(base: Uint8Array, path: Uint8Array, use: (dir: number) => Result): Result {
  const dir = openFolder(base, path);
  try {
    return use(dir);
  } finally {
    libc.close(dir);
  }
}

export function closeFd(fd: number): void {
  libc.close(fd);
}

/** A path that the kernel takes for `name` in the open folder `dir`, for calls that have no `*at` form. */
export function procPath(dir: number, name: Uint8Array): Uint8Array {
  return joinPath(Buffer.from(`/proc/self/fd/${dir}`), name);
}

function piecesOf(path: Uint8Array): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  let piece: Uint8Array = new Uint8Array(0);
  for (const name of splitPath(path)) {
    if (piece.length + 1 + name.length > PATH_BYTES_MAX) {
      pieces.push(piece);
      piece = name;
    } else {
      piece = joinPath(piece, name);
    }
  }
  if (piece.length > 0) pieces.push(piece);
  return pieces;
}
