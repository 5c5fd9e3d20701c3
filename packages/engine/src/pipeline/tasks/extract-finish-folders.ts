/** Ends folders, children before parents: takes away what does not belong, then puts their metadata on them. */
import { statAt } from '../../files/file-stat.ts';
import { listFolder } from '../../files/list-folder.ts';
import { removeFileAt } from '../../files/make-entry.ts';
import type { Task } from '../task.ts';
import { failureOf } from './extract-files.ts';
import { folderCacheOf } from './extract-folder-cache.ts';
import { applyMetaToFd, type ExtractMeta, type ItemFailure, processOwner, showName } from './extract-meta.ts';
import { removeTreeAt } from './extract-remove.ts';

export interface FinishFolder {
  readonly path: Uint8Array;
  readonly meta?: ExtractMeta | undefined;
  /** Remove what a stopped run left under names that begin so. */
  readonly temporaryPrefix?: string | undefined;
  /** Remove these names. */
  readonly remove?: readonly Uint8Array[] | undefined;
}

export interface ExtractFinishFoldersTask {
  readonly input: { readonly root: Uint8Array; readonly folders: readonly FinishFolder[] };
  readonly output: { readonly failures: readonly ItemFailure[]; readonly ownersKept: number; readonly removed: number };
}

export const task: Task<ExtractFinishFoldersTask['input'], ExtractFinishFoldersTask['output']> = (input, context) => {
  const cache = folderCacheOf(context, input.root);
  const failures: ItemFailure[] = [];
  const self = processOwner();
  let ownersKept = 0;
  let removed = 0;
  for (const [index, folder] of input.folders.entries()) {
    try {
      const fd = cache.folder(folder.path);
      if (folder.temporaryPrefix !== undefined) removeTemporaries(fd, folder.temporaryPrefix);
      for (const name of folder.remove ?? []) {
        try {
          removeTreeAt(fd, name);
          removed++;
        } catch (error) {
          const { code, message } = failureOf(index, error);
          failures.push({ index, code, message: `${showName(name)} was not removed: ${message}` });
        }
      }
      if (folder.meta === undefined) continue;
      const { problems, ownerKept } = applyMetaToFd(fd, folder.meta, self);
      for (const problem of problems) failures.push({ index, ...problem });
      if (ownerKept) ownersKept++;
    } catch (error) {
      failures.push(failureOf(index, error));
    }
  }
  return { output: { failures, ownersKept, removed } };
};

function removeTemporaries(dir: number, prefix: string): void {
  const wanted = Buffer.from(prefix);
  for (const name of listFolder(dir)) {
    if (name.length <= wanted.length || !name.subarray(0, wanted.length).equals(wanted)) continue;
    if (statAt(dir, name)?.kind !== 'dir') removeFileAt(dir, name);
  }
}
