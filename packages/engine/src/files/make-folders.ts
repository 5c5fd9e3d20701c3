/**
 * Folders above a path that are missing, made one by one from the top. The runtime's own recursive call never ends where a folder that is there takes
 * no new one and says ENOENT (below /proc), and blames the wrong thing on a read-only file system.
 */
import { mkdir, stat } from 'node:fs/promises';
import { errnoOf } from '../core/errors.ts';

const SLASH = 0x2f;

/** Does nothing when the folder is there. Throws the system's error: EEXIST or ENOTDIR when something else is. The path is absolute. */
export async function makeFolders(path: string | Uint8Array, mode = 0o777): Promise<void> {
  const bytes = withoutEndSlashes(Buffer.from(path as Uint8Array));
  const missing: Buffer[] = [];
  for (let at: Buffer = bytes; ; at = parentOf(at)) {
    try {
      await mkdir(at, { mode });
      break;
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === 'EEXIST') {
        if (!(await stat(at)).isDirectory()) throw error;
        break;
      }
      if (errno !== 'ENOENT' || at.length <= 1) throw error;
      missing.push(at);
    }
  }
  for (const folder of missing.reverse()) {
    try {
      await mkdir(folder, { mode });
    } catch (error) {
      // Somebody else may have been faster.
      if (errnoOf(error) !== 'EEXIST') throw error;
    }
  }
}

function parentOf(path: Buffer): Buffer {
  const slash = withoutEndSlashes(path).lastIndexOf(SLASH);
  return slash <= 0 ? Buffer.from('/') : withoutEndSlashes(path.subarray(0, slash));
}

function withoutEndSlashes(path: Buffer): Buffer {
  let end = path.length;
  while (end > 1 && path[end - 1] === SLASH) end--;
  return path.subarray(0, end);
}
