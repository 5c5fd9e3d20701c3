/** Which errors of a system call say that this file, or this part of it, cannot be read now. They say nothing about the bytes. */
import { type EdgeError, errnoOf, isEdgeError } from './errors.ts';

/**
 * EIO and its like: a bad sector, a checksum of the file system that does not fit, a device that went away, a file without permission. Not in
 * here: EMFILE, ENOMEM and the like, which say something about this process, and ENOENT, which is an answer.
 */
const READ_ERRORS = new Set([
  'EIO',
  'EACCES',
  'EPERM',
  'EBADMSG',
  'EUCLEAN',
  'EREMOTEIO',
  'ENXIO',
  'ENODEV',
  'ENODATA',
  'ENOTCONN',
  'EOVERFLOW',
  'ESHUTDOWN',
  'ESTALE',
  'ETIMEDOUT',
  'EHOSTDOWN',
]);

/** The errno when the error is one of these, also inside an `EdgeError`; undefined otherwise. */
export function readErrorOf(error: unknown): string | undefined {
  const errno = isEdgeError(error) ? errnoIn(error) : (errnoOf(error) ?? nameOfUnknown(error));
  return errno !== undefined && READ_ERRORS.has(errno) ? errno : undefined;
}

function errnoIn(error: EdgeError): string | undefined {
  const { errno } = error.context;
  return typeof errno === 'string' ? errno : undefined;
}

/** Node has no name for the errno of a corrupt file system: it says `Unknown system error -117`. */
function nameOfUnknown(error: unknown): string | undefined {
  const number = (error as { errno?: unknown } | null | undefined)?.errno;
  return number === -117 ? 'EUCLEAN' : number === -121 ? 'EREMOTEIO' : undefined;
}

/** For messages. */
export function cannotRead(errno: string): string {
  return `the disk cannot read it (${errno})`;
}
