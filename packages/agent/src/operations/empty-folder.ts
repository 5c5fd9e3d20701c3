import { opendirSync } from 'node:fs';

/** A folder that cannot be read is not empty: what is wrong with it is said by its captures. */
export function isEmptyFolder(path: string): boolean {
  try {
    const folder = opendirSync(path);
    try {
      return folder.readSync() === null;
    } finally {
      folder.closeSync();
    }
  } catch {
    return false;
  }
}
