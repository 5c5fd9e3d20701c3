import { stat } from 'node:fs/promises';
import { errnoOf, unescapeName } from '@edgestore/engine';

/**
 * Which folder or file lies at a root's path now; undefined when none does. A root that was moved away, or over which a disk was mounted, tells its watcher
 * nothing: the watch stays with the folder that it was put on.
 */
export async function rootIdentity(path: string): Promise<string | undefined> {
  try {
    const { dev, ino } = await stat(Buffer.from(unescapeName(path)), { bigint: true });
    return `${dev}:${ino}`;
  } catch (error) {
    // Whatever the reason, there is nothing to watch; the capture says why.
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}
