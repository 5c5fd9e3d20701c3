import { statSync } from 'node:fs';
import { errnoOf, toEdgeError } from '../core/errors.ts';

/** Whether there is anything of that name; links are followed. Only ENOENT (and a file where a folder would be) is absence: EIO or EACCES throws. */
export function isThere(path: string): boolean {
  try {
    statSync(path);
    return true;
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ENOENT' || errno === 'ENOTDIR') return false;
    throw toEdgeError(error, `looking for ${path}`);
  }
}
