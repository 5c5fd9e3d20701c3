/** Making, renaming and marking entries of an open folder by name bytes; nothing here follows a symlink. */
import { asBuffer } from '../core/bytes.ts';
import { cString } from './c-string.ts';
import { AT_REMOVEDIR, AT_SYMLINK_NOFOLLOW, lastErrno, libc } from './libc.ts';
import { EINTR, systemError } from './system-error.ts';

/** Largest target of a symlink that Linux stores. */
const LINK_BYTES_MAX = 4096;

export function makeFolderAt(dir: number, name: Uint8Array, mode: number): void {
  check('mkdirat', () => libc.mkdirat(dir, cString(name), mode));
}

export function makeSymlinkAt(dir: number, name: Uint8Array, target: Uint8Array): void {
  check('symlinkat', () => libc.symlinkat(cString(target), dir, cString(name)));
}

/** A second name for what `from` is, a symlink included. */
export function makeHardLinkAt(fromDir: number, from: Uint8Array, toDir: number, to: Uint8Array): void {
  check('linkat', () => libc.linkat(fromDir, cString(from), toDir, cString(to), 0));
}

export type NodeKind = 'fifo' | 'socket' | 'chardev' | 'blockdev';

const NODE_TYPES: Readonly<Record<NodeKind, number>> = {
  fifo: 0o010000,
  chardev: 0o020000,
  blockdev: 0o060000,
  socket: 0o140000,
};

/** A FIFO, or (as root) a device. */
export function makeNodeAt(
  dir: number,
  name: Uint8Array,
  kind: NodeKind,
  mode: number,
  device: { readonly major: number; readonly minor: number } = { major: 0, minor: 0 },
): void {
  const number = deviceNumber(device.major, device.minor);
  check('mknodat', () => libc.mknodat(dir, cString(name), NODE_TYPES[kind] | mode, number));
}

/** Renames over what is there, unless `replace` is false (EEXIST). */
export function renameAt(
  fromDir: number,
  from: Uint8Array,
  toDir: number,
  to: Uint8Array,
  options: { readonly replace?: boolean } = {},
): void {
  const flags = options.replace === false ? RENAME_NOREPLACE : 0;
  check('renameat2', () => libc.renameat2(fromDir, cString(from), toDir, cString(to), flags));
}

const RENAME_NOREPLACE = 1;

export function removeFileAt(dir: number, name: Uint8Array): void {
  check('unlinkat', () => libc.unlinkat(dir, cString(name), 0));
}

export function removeFolderAt(dir: number, name: Uint8Array): void {
  check('unlinkat', () => libc.unlinkat(dir, cString(name), AT_REMOVEDIR));
}

/** The target of a symlink, as stored. */
export function readLinkAt(dir: number, name: Uint8Array): Uint8Array {
  const length = check('readlinkat', () => libc.readlinkat(dir, cString(name), linkTarget, LINK_BYTES_MAX));
  return new Uint8Array(linkTarget.subarray(0, length));
}

const linkTarget = Buffer.allocUnsafeSlow(LINK_BYTES_MAX);

export function changeOwnerAt(dir: number, name: Uint8Array, uid: number, gid: number): void {
  check('fchownat', () => libc.fchownat(dir, cString(name), uid, gid, AT_SYMLINK_NOFOLLOW));
}

/** Permission bits; not for symlinks, which have none on Linux (and would be followed). */
export function changeModeAt(dir: number, name: Uint8Array, mode: number): void {
  check('fchmodat', () => libc.fchmodat(dir, cString(name), mode, 0));
}

/** Sets the modification time and leaves the access time. Nanoseconds since 1970, any sign. */
export function changeTimeAt(dir: number, name: Uint8Array, mtimeNs: bigint): void {
  check('utimensat', () => libc.utimensat(dir, cString(name), timesOf(mtimeNs), AT_SYMLINK_NOFOLLOW));
}

export function changeTimeFd(fd: number, mtimeNs: bigint): void {
  check('futimens', () => libc.futimens(fd, timesOf(mtimeNs)));
}

/** Writes everything of the file system that the open file is on to stable storage. */
export function syncFileSystem(fd: number): void {
  check('syncfs', () => libc.syncfs(fd));
}

/** The same on a thread of its own. False when it failed. */
export function syncFileSystemLater(fd: number): Promise<boolean> {
  return new Promise((resolve) =>
    libc.syncfs.async(fd, (error: unknown, result: number) => resolve(error === null && result === 0)),
  );
}

/** The C library's `makedev`. */
export function deviceNumber(major: number, minor: number): bigint {
  const [high, low] = [BigInt(major), BigInt(minor)];
  return ((high & ~0xfffn) << 32n) | ((low & ~0xffn) << 12n) | ((high & 0xfffn) << 8n) | (low & 0xffn);
}

const UTIME_OMIT = 0x3ffffffen;
const times = Buffer.alloc(32);

function timesOf(mtimeNs: bigint): Uint8Array {
  let nanos = mtimeNs % 1_000_000_000n;
  if (nanos < 0n) nanos += 1_000_000_000n;
  times.writeBigInt64LE(0n, 0);
  times.writeBigInt64LE(UTIME_OMIT, 8);
  times.writeBigInt64LE((mtimeNs - nanos) / 1_000_000_000n, 16);
  times.writeBigInt64LE(nanos, 24);
  return asBuffer(times);
}

function check(syscall: string, call: () => number): number {
  for (;;) {
    const result = call();
    if (result >= 0) return result;
    const errno = lastErrno();
    if (errno !== EINTR) throw systemError(syscall, errno);
  }
}
