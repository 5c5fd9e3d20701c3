/** What is in a folder of the target, and of which kind. */
import { type FileKind, statAt, statFd } from '../../files/file-stat.ts';
import { listFolder } from '../../files/list-folder.ts';
import type { Task } from '../task.ts';
import { folderCacheOf } from './extract-folder-cache.ts';

export interface ExtractListTask {
  readonly input: { readonly root: Uint8Array; readonly path: Uint8Array };
  readonly output: {
    readonly names: readonly Uint8Array[];
    readonly kinds: readonly FileKind[];
    /** The folder is on the file system that the target is on. */
    readonly isSameDevice: boolean;
  };
}

export const task: Task<ExtractListTask['input'], ExtractListTask['output']> = ({ root, path }, context) => {
  const folders = folderCacheOf(context, root);
  const top = statFd(folders.folder(EMPTY));
  const dir = folders.folder(path);
  const here = statFd(dir);
  const isSameDevice = top.devMajor === here.devMajor && top.devMinor === here.devMinor;
  const names = listFolder(dir).map((name) => Uint8Array.from(name));
  return { output: { names, kinds: names.map((name) => statAt(dir, name)?.kind ?? 'unknown'), isSameDevice } };
};

const EMPTY = new Uint8Array(0);
