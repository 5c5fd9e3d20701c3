/** What the file system says of a folder store, in words of an object store. */
import { EdgeError, errnoOf, toEdgeError } from '../../core/errors.ts';

/** What a network mount or a racing removal of a folder gives and the next try may not. */
const RETRYABLE_ERRNO = new Set(['EIO', 'ESTALE', 'ETIMEDOUT', 'ENOENT']);

export function isAbsence(error: unknown): boolean {
  const errno = errnoOf(error);
  return errno === 'ENOENT' || errno === 'ENOTDIR';
}

export function noFolder(folder: string, label: string): EdgeError {
  return new EdgeError('E_NO_BUCKET', `${label}: there is no folder ${folder}`, {
    hint: 'Mount it, or correct the url of the store.',
    context: { store: label },
  });
}

export function folderError(error: unknown, label: string, key: string, action: string): EdgeError {
  if (error instanceof EdgeError) return error;
  const errno = errnoOf(error);
  const context = { store: label, key, ...(errno === undefined ? {} : { errno }) };
  if (errno === 'EACCES' || errno === 'EPERM' || errno === 'EROFS') {
    return new EdgeError('E_DENIED', `${label}/${key}: may not ${action} there (${errno})`, {
      hint: `Give the user that edgestore runs as permission to ${action} below ${label}.`,
      context,
      cause: error,
    });
  }
  const mapped = toEdgeError(error, `${label}/${key}: cannot ${action}`);
  if (mapped.code !== 'E_IO') return mapped;
  return new EdgeError('E_STORE', mapped.message, {
    context,
    cause: error,
    retryable: RETRYABLE_ERRNO.has(errno ?? '') || mapped.retryable,
  });
}
