/** Lets go of a target's open folders on this worker, after writing all of its file system to stable storage when asked. */
import { constants } from 'node:fs';
import { AT_FDCWD } from '../../files/libc.ts';
import { syncFileSystem } from '../../files/make-entry.ts';
import { closeFd, openAt } from '../../files/open-file.ts';
import type { Task } from '../task.ts';
import { dropFolderCache } from './extract-folder-cache.ts';

export interface ExtractCloseTask {
  readonly input: { readonly root: Uint8Array; readonly sync: boolean };
  readonly output: Record<string, never>;
}

export const task: Task<ExtractCloseTask['input'], ExtractCloseTask['output']> = ({ root, sync }, context) => {
  dropFolderCache(context, root);
  if (sync) {
    const fd = openAt(AT_FDCWD, root, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      syncFileSystem(fd);
    } finally {
      closeFd(fd);
    }
  }
  return { output: {} };
};
