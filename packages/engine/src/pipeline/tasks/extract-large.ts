/** Begins and ends files that are written in pieces by several workers: created at their full length, given their metadata after the last piece. */
import { constants, fstatSync, ftruncateSync } from 'node:fs';
import { errnoOf } from '../../core/errors.ts';
import { renameAt } from '../../files/make-entry.ts';
import { closeFd, openAt } from '../../files/open-file.ts';
import type { Task } from '../task.ts';
import { createFile, failureOf, removeHalfWritten, syncBeforeReplacing } from './extract-files.ts';
import { folderCacheOf } from './extract-folder-cache.ts';
import { applyMetaToFd, type ExtractMeta, type ItemFailure, processOwner } from './extract-meta.ts';

export interface ExtractLargeTask {
  readonly input: {
    readonly root: Uint8Array;
    readonly folder: Uint8Array;
    /** The name it is written under. */
    readonly name: Uint8Array;
    readonly step: /** With `keep`, one of the right length that is there already is written on; says whether there was one. */
      | { readonly do: 'create'; readonly size: number; readonly keep: boolean; readonly replace: boolean }
      /** Metadata, then the rename to its own name where that differs. */
      | { readonly do: 'finish'; readonly meta: ExtractMeta; readonly finalName: Uint8Array }
      | { readonly do: 'discard' };
  };
  readonly output: {
    readonly failure: ItemFailure | undefined;
    readonly kept: boolean;
    readonly meta: readonly ItemFailure[];
    readonly ownerKept: boolean;
  };
}

const { O_RDWR, O_WRONLY, O_NOFOLLOW } = constants;
const NOTHING = { failure: undefined, kept: false, meta: [], ownerKept: false };

export const task: Task<ExtractLargeTask['input'], ExtractLargeTask['output']> = (
  { root, folder, name, step },
  context,
) => {
  try {
    const dir = folderCacheOf(context, root).folder(folder);
    switch (step.do) {
      case 'create':
        return { output: { ...NOTHING, kept: create(dir, name, step) } };
      case 'discard':
        removeHalfWritten(dir, name);
        return { output: NOTHING };
      case 'finish': {
        const fd = openAt(dir, name, O_WRONLY | O_NOFOLLOW);
        try {
          const { problems, ownerKept } = applyMetaToFd(fd, step.meta, processOwner());
          const meta = problems.map((problem) => ({ index: 0, ...problem }));
          if (Buffer.compare(name, step.finalName) !== 0) {
            syncBeforeReplacing(dir, step.finalName, fd);
            renameAt(dir, name, dir, step.finalName);
          }
          return { output: { ...NOTHING, meta, ownerKept } };
        } finally {
          closeFd(fd);
        }
      }
    }
  } catch (error) {
    return { output: { ...NOTHING, failure: failureOf(0, error) } };
  }
};

function create(dir: number, name: Uint8Array, step: { size: number; keep: boolean; replace: boolean }): boolean {
  if (step.keep && hasLength(dir, name, step.size)) return true;
  const fd = createFile(dir, name, step.keep || step.replace);
  try {
    ftruncateSync(fd, step.size);
  } catch (error) {
    removeHalfWritten(dir, name);
    throw error;
  } finally {
    closeFd(fd);
  }
  return false;
}

function hasLength(dir: number, name: Uint8Array, size: number): boolean {
  let fd: number;
  try {
    fd = openAt(dir, name, O_RDWR | O_NOFOLLOW);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ENOENT' || errno === 'ELOOP' || errno === 'EACCES' || errno === 'EISDIR') return false;
    throw error;
  }
  try {
    const stat = fstatSync(fd);
    return stat.isFile() && stat.size === size && stat.nlink === 1;
  } finally {
    closeFd(fd);
  }
}
