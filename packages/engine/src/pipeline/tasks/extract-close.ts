/** Lets go of a target's open folders on this worker, after writing its file systems to stable storage when asked. */
import { constants } from 'node:fs';
import { AT_FDCWD } from '../../files/libc.ts';
import { syncFileSystem } from '../../files/make-entry.ts';
import { closeFd, openAt } from '../../files/open-file.ts';
import type { Task } from '../task.ts';
import { dropFolderCache, folderCacheOf } from './extract-folder-cache.ts';

export interface ExtractCloseTask {
  readonly input: {
    readonly root: Uint8Array;
    /** `all`: the target's file system, and those mounted below it that this worker wrote to; `mounted`: only the latter. */
    readonly sync: 'all' | 'mounted' | 'nothing';
  };
  readonly output: Record<string, never>;
}

export const task: Task<ExtractCloseTask['input'], ExtractCloseTask['output']> = ({ root, sync }, context) => {
  try {
    if (sync !== 'nothing') for (const fd of folderCacheOf(context, root).mounted()) syncFileSystem(fd);
    if (sync === 'all') syncRoot(root);
  } finally {
    dropFolderCache(context, root);
  }
  return { output: {} };
};

function syncRoot(root: Uint8Array): void {
  const fd = openAt(AT_FDCWD, root, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    syncFileSystem(fd);
  } finally {
    closeFd(fd);
  }
}
