import { statSync } from 'node:fs';
import { EdgeError, errnoOf, toEdgeError } from '../core/errors.ts';

/**
 * Whether there is anything of that name; links are followed. Only ENOENT (and a file where a folder would be) is
 * absence. E_DENIED, E_IO.
 */
export function isThere(path: string): boolean {
  try {
    statSync(path);
    return true;
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ENOENT' || errno === 'ENOTDIR') return false;
    if (errno === 'EACCES' || errno === 'EPERM')
      throw new EdgeError('E_DENIED', `no permission to look for ${path}`, {
        hint: 'Run this as a user who may, or change the permissions there.',
        context: { path, errno },
      });
    throw toEdgeError(error, `looking for ${path}`);
  }
}
