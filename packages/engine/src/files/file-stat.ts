/** What the kernel says about a file, with nanoseconds, any sign of time, and full-width numbers. */

import { cString } from './c-string.ts';
import { AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW, lastErrno, libc } from './libc.ts';
import { EINTR, systemError } from './system-error.ts';

export type FileKind = 'file' | 'dir' | 'symlink' | 'fifo' | 'socket' | 'chardev' | 'blockdev' | 'unknown';

export interface FileStat {
  readonly kind: FileKind;
  /** Permission bits with setuid, setgid, sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly nlink: number;
  readonly size: number;
  /** Of 512 bytes. */
  readonly blocks: number;
  readonly ino: bigint;
  readonly devMajor: number;
  readonly devMinor: number;
  readonly rdevMajor: number;
  readonly rdevMinor: number;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
}

/** The kernel's `struct statx`, which is the same on every architecture. */
export const STATX_BYTES = 256;
export const STATX_BASIC = 0x7ff;

/**
 * The raw statx of `name` in the open folder `dir`, not following a symlink; of the descriptor itself when the name is empty. False when
 * there is nothing of that name.
 */
export function statxInto(target: Uint8Array, dir: number, name: Uint8Array): boolean {
  const flags = AT_SYMLINK_NOFOLLOW | (name.length === 0 ? AT_EMPTY_PATH : 0);
  const path = cString(name);
  while (libc.statx(dir, path, flags, STATX_BASIC, target) !== 0) {
    const errno = lastErrno();
    if (errno === EINTR) continue;
    const error = systemError('statx', errno);
    if (error.code === 'ENOENT') return false;
    throw error;
  }
  return true;
}

/** Stat of `name` in the open folder `dir`, not following a symlink; undefined when it is not there. */
export function statAt(dir: number, name: Uint8Array): FileStat | undefined {
  return statxInto(scratch, dir, name) ? decodeStatx(scratch) : undefined;
}

/** Stat of an open file. */
export function statFd(fd: number): FileStat {
  statxInto(scratch, fd, EMPTY);
  return decodeStatx(scratch);
}

const EMPTY = new Uint8Array(0);
const scratch = Buffer.alloc(STATX_BYTES);

/** By the four type bits of the mode (S_IFMT). */
const KINDS: Readonly<Record<number, FileKind>> = {
  1: 'fifo',
  2: 'chardev',
  4: 'dir',
  6: 'blockdev',
  8: 'file',
  10: 'symlink',
  12: 'socket',
};

/** Offsets within `struct statx` (linux/stat.h). */
export function decodeStatx(bytes: Buffer): FileStat {
  const mode = bytes.readUInt16LE(28);
  return {
    kind: KINDS[mode >> 12] ?? 'unknown',
    mode: mode & 0o7777,
    uid: bytes.readUInt32LE(20),
    gid: bytes.readUInt32LE(24),
    nlink: bytes.readUInt32LE(16),
    size: Number(bytes.readBigUInt64LE(40)),
    blocks: Number(bytes.readBigUInt64LE(48)),
    ino: bytes.readBigUInt64LE(32),
    devMajor: bytes.readUInt32LE(136),
    devMinor: bytes.readUInt32LE(140),
    rdevMajor: bytes.readUInt32LE(128),
    rdevMinor: bytes.readUInt32LE(132),
    mtimeNs: timeAt(bytes, 112),
    ctimeNs: timeAt(bytes, 96),
  };
}

function timeAt(bytes: Buffer, at: number): bigint {
  return bytes.readBigInt64LE(at) * 1_000_000_000n + BigInt(bytes.readUInt32LE(at + 8));
}
