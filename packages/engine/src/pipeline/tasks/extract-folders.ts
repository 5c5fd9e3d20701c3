/** Makes the folders of a restore, parents first, closed to others until all that belongs in them is there. */
import { fchmodSync } from 'node:fs';
import { errnoOf } from '../../core/errors.ts';
import { statFd } from '../../files/file-stat.ts';
import { makeFolderAt, removeFileAt } from '../../files/make-entry.ts';
import { closeFd, openFolderAt } from '../../files/open-file.ts';
import type { Task } from '../task.ts';
import { failureOf } from './extract-files.ts';
import { folderCacheOf } from './extract-folder-cache.ts';
import { type ItemFailure, processOwner } from './extract-meta.ts';

export interface ExtractFoldersTask {
  readonly input: {
    readonly root: Uint8Array;
    /** Paths below the root, parents before children. */
    readonly folders: readonly Uint8Array[];
    /** Whether a folder that is there already is used (a resumed or in-place restore). */
    readonly reuse: boolean;
    /** Whether something else under the name is removed for it. */
    readonly replace: boolean;
  };
  readonly output: { readonly failures: readonly ItemFailure[] };
}

const SLASH = 0x2f;
const OWNER_ALL = 0o700;

export const task: Task<ExtractFoldersTask['input'], ExtractFoldersTask['output']> = (input, context) => {
  const cache = folderCacheOf(context, input.root);
  const failures: ItemFailure[] = [];
  for (const [index, path] of input.folders.entries()) {
    try {
      const slash = path.lastIndexOf(SLASH);
      const parent = cache.folder(slash === -1 ? path.subarray(0, 0) : path.subarray(0, slash));
      makeFolder(parent, path.subarray(slash + 1), input.reuse, input.replace);
    } catch (error) {
      failures.push(failureOf(index, error));
    }
  }
  return { output: { failures } };
};

function makeFolder(parent: number, name: Uint8Array, reuse: boolean, replace: boolean): void {
  try {
    makeFolderAt(parent, name, OWNER_ALL);
    return;
  } catch (error) {
    if (!reuse || errnoOf(error) !== 'EEXIST') throw error;
  }
  let fd: number;
  try {
    fd = openFolderAt(parent, name);
  } catch (error) {
    const errno = errnoOf(error);
    if (!replace || (errno !== 'ENOTDIR' && errno !== 'ELOOP')) throw error;
    removeFileAt(parent, name);
    makeFolderAt(parent, name, OWNER_ALL);
    return;
  }
  try {
    // A folder without write permission is finished business of an earlier run, or the user's: open it up, its metadata comes last anyway.
    const { uid, mode } = statFd(fd);
    if (uid === processOwner().uid && uid !== 0 && (mode & OWNER_ALL) !== OWNER_ALL) fchmodSync(fd, mode | OWNER_ALL);
  } finally {
    closeFd(fd);
  }
}
