/**
 * The system calls that Node lacks or bends (no extended attributes, no `*at` calls, times as floats, names as text), taken from the C
 * library that is already in the process. Linux, 64 bit. Every path or name argument is bytes ending in NUL (see `c-string.ts`).
 */
import koffi from 'koffi';

/** A number argument or memory that the call reads or writes. */
type Fd = number;
type Memory = Uint8Array | null;

const library = koffi.load(null);
const errnoNow = koffi.errno as () => number;

const declare = <Call>(prototype: string): Call => library.func(prototype) as unknown as Call;

/** Sizes and results are numbers while they are safe integers, which every length and offset of a real file system is. */
export const libc = {
  openat: declare<(dir: Fd, path: Memory, flags: number, mode: number) => number>(
    'int openat(int dir, void *path, int flags, unsigned int mode)',
  ),
  close: declare<(fd: Fd) => number>('int close(int fd)'),
  read: declare<(fd: Fd, into: Memory, length: number) => number>('int64_t read(int fd, void *into, size_t length)'),
  lseek: declare<(fd: Fd, offset: number, whence: number) => number>(
    'int64_t lseek(int fd, int64_t offset, int whence)',
  ),
  posix_fadvise: declare<(fd: Fd, offset: number, length: number, advice: number) => number>(
    'int posix_fadvise(int fd, int64_t offset, int64_t length, int advice)',
  ),
  statx: declare<(dir: Fd, path: Memory, flags: number, mask: number, into: Memory) => number>(
    'int statx(int dir, void *path, int flags, unsigned int mask, void *into)',
  ),
  getdents64: declare<(fd: Fd, into: Memory, length: number) => number>(
    'int64_t getdents64(int fd, void *into, size_t length)',
  ),
  /** These two with addresses in place of memory: passing an object costs more than the call. */
  statxAt: declare<(dir: Fd, path: number, flags: number, mask: number, into: number) => number>(
    'int statx(int dir, uintptr_t path, int flags, unsigned int mask, uintptr_t into)',
  ),
  getdents64At: declare<(fd: Fd, into: number, length: number) => number>(
    'int64_t getdents64(int fd, uintptr_t into, size_t length)',
  ),
  readlinkat: declare<(dir: Fd, path: Memory, into: Memory, length: number) => number>(
    'int64_t readlinkat(int dir, void *path, void *into, size_t length)',
  ),
  llistxattr: declare<(path: Memory, list: Memory, size: number) => number>(
    'int64_t llistxattr(void *path, void *list, size_t size)',
  ),
  flistxattr: declare<(fd: Fd, list: Memory, size: number) => number>(
    'int64_t flistxattr(int fd, void *list, size_t size)',
  ),
  lgetxattr: declare<(path: Memory, name: Memory, value: Memory, size: number) => number>(
    'int64_t lgetxattr(void *path, void *name, void *value, size_t size)',
  ),
  fgetxattr: declare<(fd: Fd, name: Memory, value: Memory, size: number) => number>(
    'int64_t fgetxattr(int fd, void *name, void *value, size_t size)',
  ),
  lsetxattr: declare<(path: Memory, name: Memory, value: Memory, size: number, flags: number) => number>(
    'int lsetxattr(void *path, void *name, void *value, size_t size, int flags)',
  ),
  fsetxattr: declare<(fd: Fd, name: Memory, value: Memory, size: number, flags: number) => number>(
    'int fsetxattr(int fd, void *name, void *value, size_t size, int flags)',
  ),
  lremovexattr: declare<(path: Memory, name: Memory) => number>('int lremovexattr(void *path, void *name)'),
  fremovexattr: declare<(fd: Fd, name: Memory) => number>('int fremovexattr(int fd, void *name)'),
  utimensat: declare<(dir: Fd, path: Memory, times: Memory, flags: number) => number>(
    'int utimensat(int dir, void *path, void *times, int flags)',
  ),
  futimens: declare<(fd: Fd, times: Memory) => number>('int futimens(int fd, void *times)'),
  mknodat: declare<(dir: Fd, path: Memory, mode: number, device: bigint) => number>(
    'int mknodat(int dir, void *path, unsigned int mode, uint64_t device)',
  ),
  mkdirat: declare<(dir: Fd, path: Memory, mode: number) => number>(
    'int mkdirat(int dir, void *path, unsigned int mode)',
  ),
  symlinkat: declare<(target: Memory, dir: Fd, path: Memory) => number>(
    'int symlinkat(void *target, int dir, void *path)',
  ),
  linkat: declare<(fromDir: Fd, from: Memory, toDir: Fd, to: Memory, flags: number) => number>(
    'int linkat(int fromDir, void *from, int toDir, void *to, int flags)',
  ),
  renameat2: declare<(fromDir: Fd, from: Memory, toDir: Fd, to: Memory, flags: number) => number>(
    'int renameat2(int fromDir, void *from, int toDir, void *to, unsigned int flags)',
  ),
  unlinkat: declare<(dir: Fd, path: Memory, flags: number) => number>('int unlinkat(int dir, void *path, int flags)'),
  fchownat: declare<(dir: Fd, path: Memory, uid: number, gid: number, flags: number) => number>(
    'int fchownat(int dir, void *path, unsigned int uid, unsigned int gid, int flags)',
  ),
  fchmodat: declare<(dir: Fd, path: Memory, mode: number, flags: number) => number>(
    'int fchmodat(int dir, void *path, unsigned int mode, int flags)',
  ),
  syncfs: declare<((fd: Fd) => number) & { async(fd: Fd, done: (error: unknown, result: number) => void): void }>(
    'int syncfs(int fd)',
  ),
};

/** The error number that the last failed call of this thread left. */
export function lastErrno(): number {
  return errnoNow();
}

/** "The current folder" in place of a folder's descriptor: absolute paths and ones relative to the process. */
export const AT_FDCWD = -100;
export const AT_SYMLINK_NOFOLLOW = 0x100;
export const AT_REMOVEDIR = 0x200;
export const AT_EMPTY_PATH = 0x1000;
