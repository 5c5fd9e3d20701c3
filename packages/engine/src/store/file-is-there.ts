import { stat } from 'node:fs/promises';
import { errnoOf, toEdgeError } from '../core/errors.ts';

/** Whether there is anything of that name. Only ENOENT is absence: E_IO for everything else. */
export async function fileIsThere(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw toEdgeError(error, `looking at ${path}`);
  }
}
