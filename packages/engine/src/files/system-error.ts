/** Failed system calls as errors with a Node-style `code` (`ENOENT`), so that `errnoOf` and `toEdgeError` understand them. */
import { constants } from 'node:os';
import { getSystemErrorMessage, getSystemErrorName } from 'node:util';
import { lastErrno } from './libc.ts';

export interface SystemError extends Error {
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;
}

/** The error of the call that has just failed on this thread; the message has no path, since names are bytes. */
export function systemError(syscall: string, errno: number = lastErrno()): SystemError {
  const code = nameOf(errno);
  return Object.assign(new Error(`${code}: ${messageOf(errno)}, ${syscall}`), { code, errno: -errno, syscall });
}

export const { EINTR, ENOENT, EINVAL, ENXIO, ERANGE, ENODATA, EPERM, ENOTSUP, EMFILE, ENFILE, ENOSYS } =
  constants.errno as unknown as Record<string, number> as {
    readonly [Name in
      | 'EINTR'
      | 'ENOENT'
      | 'EINVAL'
      | 'ENXIO'
      | 'ERANGE'
      | 'ENODATA'
      | 'EPERM'
      | 'ENOTSUP'
      | 'EMFILE'
      | 'ENFILE'
      | 'ENOSYS']: number;
  };

function nameOf(errno: number): string {
  try {
    return getSystemErrorName(-errno);
  } catch {
    return `E${errno}`;
  }
}

function messageOf(errno: number): string {
  try {
    return getSystemErrorMessage(-errno);
  } catch {
    return `error ${errno}`;
  }
}
