/** Reading an open file: whole buffers whatever the kernel hands out, and where its holes are. */
import { wholeFolios } from '../core/folios.ts';
import { lastErrno, libc } from './libc.ts';
import { EINTR, EINVAL, ENXIO, systemError } from './system-error.ts';

/** Fills `into` from the file's own position as far as the file goes; returns the bytes read, fewer only at the file's end. */
export function readFully(fd: number, into: Uint8Array): number {
  let filled = 0;
  while (filled < into.length) {
    const got = libc.read(fd, filled === 0 ? into : into.subarray(filled), into.length - filled);
    if (got === 0) break;
    if (got > 0) {
      filled += got;
      continue;
    }
    const errno = lastErrno();
    if (errno !== EINTR) throw systemError('read', errno);
  }
  return filled;
}

/** Lets the disk begin to fetch the file; does not wait, and does not matter when it cannot. */
export function willRead(fd: number): void {
  libc.posix_fadvise(fd, 0, 0, FADV_WILLNEED);
}

/** Lets the kernel drop these bytes from its memory; does not matter when it does not. */
export function wasRead(fd: number, offset: number, length: number): void {
  libc.posix_fadvise(fd, offset, length, FADV_DONTNEED);
}

/**
 * Lets the kernel forget these bytes before a read that verifies: what is in its memory is as it was written, whatever
 * the disk made of it.
 */
export function willVerify(fd: number, offset: number, length: number): void {
  const range = wholeFolios(offset, length);
  libc.posix_fadvise(fd, range.offset, range.length, FADV_DONTNEED);
}

const FADV_WILLNEED = 3;
const FADV_DONTNEED = 4;

/** Moves the file's own position to `offset` bytes from its start. */
export function seekTo(fd: number, offset: number): void {
  if (libc.lseek(fd, offset, SEEK_SET) < 0) throw systemError('lseek');
}

const SEEK_SET = 0;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;

export interface Extent {
  readonly offset: number;
  readonly length: number;
}

/**
 * The holes of the first `size` bytes, sorted, not touching; none where the file system cannot say. When there are more than `count` of them, short ones
 * are left out (they are read as the zeros that they are), so that a file cannot make its own description endless. Moves the
 * file's position.
 */
export function findHoles(fd: number, size: number, count: number): Extent[] {
  let holes: Extent[] = [];
  let shortest = 1;
  for (let at = 0; at < size; ) {
    const from = libc.lseek(fd, at, SEEK_HOLE);
    if (from < 0) {
      if (isNoAnswer(lastErrno())) return [];
      throw systemError('lseek');
    }
    if (from >= size) break;
    const data = libc.lseek(fd, from, SEEK_DATA);
    if (data < 0 && lastErrno() !== ENXIO) {
      if (isNoAnswer(lastErrno())) return [];
      throw systemError('lseek');
    }
    const to = data < 0 ? size : Math.min(data, size);
    if (to - from >= shortest) holes.push({ offset: from, length: to - from });
    while (holes.length > count) {
      shortest = Math.max(SHORT_HOLE_BYTES, shortest * 2);
      holes = holes.filter((hole) => hole.length >= shortest);
    }
    at = to;
  }
  return holes;
}

const SHORT_HOLE_BYTES = 64 * 1024;

function isNoAnswer(errno: number): boolean {
  return errno === EINVAL || errno === ENXIO;
}
