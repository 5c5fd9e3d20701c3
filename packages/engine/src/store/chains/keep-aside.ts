/** A damaged file of a chain stays beside the one that replaces it, until somebody removes it. */
import { link } from 'node:fs/promises';
import { errnoOf, toEdgeError } from '../../core/errors.ts';

/**
 * Gives the file a second name, so that a rename over the first one loses nothing. A file that is gone has nothing to
 * keep.
 */
export async function keepAside(path: string): Promise<void> {
  for (let n = 1; ; n++) {
    try {
      return await link(path, `${path}.damaged-${n}`);
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return;
      if (errnoOf(error) !== 'EEXIST') throw toEdgeError(error, `keeping ${path}`);
    }
  }
}
