/**
 * One process at a time works on a data dir. The lock is flock(2) on `DATA_DIR/lock`: the kernel gives it up when its holder dies, however it
 * dies, so no lock is ever stale and nobody has to unlock by hand. The text in the file only names the holder for messages.
 */
import { closeSync, constants, fstatSync, ftruncateSync, openSync, readFileSync, statSync, writeSync } from 'node:fs';
import koffi from 'koffi';
import { EdgeError, errnoOf, toEdgeError } from '../core/errors.ts';

export interface LockHolder {
  readonly pid: number;
  /** The command line, without anything secret. */
  readonly command: string;
  /** RFC 3339. */
  readonly since: string;
}

export interface DataDirLock {
  /** Gives the lock up. Doing it twice is harmless. */
  release(): void;
}

const LOCK_EX = 2;
const LOCK_NB = 4;

/** Takes the lock or throws E_BUSY naming who has it. `lockFile` is `DataDir.lockFile`; its folder must be there. */
export function lockDataDir(lockFile: string, holder: LockHolder): DataDirLock {
  for (;;) {
    const fd = openLockFile(lockFile);
    try {
      if (!tryFlock(fd, lockFile)) throw busyError(lockFile);
      if (!isStillNamed(fd, lockFile)) {
        closeSync(fd);
        continue;
      }
      nameHolder(fd, holder);
    } catch (error) {
      closeQuietly(fd);
      throw toEdgeError(error, `locking ${lockFile}`);
    }
    let held = true;
    return {
      release: () => {
        if (!held) return;
        held = false;
        // Emptied first: a message must not name a process that let go properly.
        ftruncateSync(fd, 0);
        closeSync(fd);
      },
    };
  }
}

/** Who holds the lock according to the file; undefined when it says nothing readable. Says nothing about whether it is held. */
export function readLockHolder(lockFile: string): LockHolder | undefined {
  let text: string;
  try {
    text = readFileSync(lockFile, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw toEdgeError(error, `reading ${lockFile}`);
  }
  try {
    const value = JSON.parse(text) as Partial<LockHolder> | null;
    if (typeof value?.pid !== 'number' || typeof value.command !== 'string' || typeof value.since !== 'string')
      return undefined;
    return { pid: value.pid, command: value.command, since: value.since };
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function openLockFile(lockFile: string): number {
  try {
    return openSync(lockFile, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'EACCES' || errno === 'EPERM') {
      throw new EdgeError('E_DENIED', `no permission to lock ${lockFile}`, {
        hint: 'Run as the user that owns the data dir.',
        cause: error,
      });
    }
    throw toEdgeError(error, `opening ${lockFile}`);
  }
}

/** On a full disk the lock is held without a name: reading and restoring have to work there. */
function nameHolder(fd: number, holder: LockHolder): void {
  ftruncateSync(fd, 0);
  try {
    writeSync(fd, `${JSON.stringify(holder)}\n`, 0);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno !== 'ENOSPC' && errno !== 'EDQUOT') throw error;
  }
}

let flock: ((fd: number, operation: number) => number) | undefined;

/** False when another open file holds it. */
function tryFlock(fd: number, lockFile: string): boolean {
  flock ??= koffi.load(null).func('int flock(int fd, int operation)') as (fd: number, operation: number) => number;
  for (;;) {
    if (flock(fd, LOCK_EX | LOCK_NB) === 0) return true;
    const errno = koffi.errno();
    if (errno === koffi.os.errno.EWOULDBLOCK) return false;
    if (errno !== koffi.os.errno.EINTR) {
      throw new EdgeError('E_IO', `the file system of ${lockFile} cannot lock files (errno ${errno})`, {
        hint: 'Put the data dir on a local file system.',
      });
    }
  }
}

/** Someone may have removed the file between our open and our lock; then ours is the lock of a file that nobody else will find. */
function isStillNamed(fd: number, lockFile: string): boolean {
  const named = statSync(lockFile, { throwIfNoEntry: false });
  const ours = fstatSync(fd);
  return named !== undefined && named.ino === ours.ino && named.dev === ours.dev;
}

function busyError(lockFile: string): EdgeError {
  const holder = readLockHolder(lockFile);
  const who =
    holder === undefined ? 'another process' : `process ${holder.pid} (${holder.command}), since ${holder.since}`;
  return new EdgeError('E_BUSY', `the data dir is in use by ${who}`, {
    hint: 'Wait for it to finish, or stop it; the lock goes with the process.',
    context: {
      lockFile,
      ...(holder === undefined ? {} : { pid: holder.pid, command: holder.command, since: holder.since }),
    },
    retryable: true,
  });
}

function closeQuietly(fd: number): void {
  try {
    closeSync(fd);
  } catch (error) {
    // Closed already on the way here; the first error is the one to report.
    if (errnoOf(error) !== 'EBADF') throw error;
  }
}
