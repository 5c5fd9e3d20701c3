import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { toEdgeError } from '../core/errors.ts';
import { escapeName } from '../policy/escape-name.ts';

/** Makes the names in a folder of the target durable. */
export async function syncFolder(path: Uint8Array): Promise<void> {
  try {
    const folder = await open(Buffer.from(path), constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  } catch (error) {
    throw toEdgeError(error, `syncing the folder ${escapeName(path)}`);
  }
}
