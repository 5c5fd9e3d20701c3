/** Makes what is no file and no folder: symlinks, FIFOs, devices, and further names of hard-linked entries. */
import { errnoOf } from '../../core/errors.ts';
import { statAt } from '../../files/file-stat.ts';
import {
  changeModeAt,
  changeOwnerAt,
  changeTimeAt,
  makeHardLinkAt,
  makeNodeAt,
  makeSymlinkAt,
  removeFileAt,
  renameAt,
} from '../../files/make-entry.ts';
import { procPath } from '../../files/open-file.ts';
import { writeXattr } from '../../files/xattr.ts';
import type { Task } from '../task.ts';
import { type Collision, failureOf, removeHalfWritten } from './extract-files.ts';
import { type FolderCache, folderCacheOf } from './extract-folder-cache.ts';
import {
  attempt,
  type ExtractMeta,
  type ItemFailure,
  isFarTime,
  type MetaOutcome,
  processOwner,
  showName,
} from './extract-meta.ts';

export interface OtherItem {
  readonly folder: Uint8Array;
  readonly name: Uint8Array;
  readonly meta: ExtractMeta;
  readonly make:
    | { readonly what: 'symlink'; readonly target: Uint8Array }
    | { readonly what: 'fifo' }
    | { readonly what: 'chardev' | 'blockdev'; readonly major: number; readonly minor: number }
    /** Another name of an entry that was restored before. */
    | { readonly what: 'link'; readonly folder: Uint8Array; readonly name: Uint8Array };
}

export interface ExtractOthersTask {
  readonly input: { readonly root: Uint8Array; readonly items: readonly OtherItem[]; readonly collision: Collision };
  readonly output: {
    readonly failures: readonly ItemFailure[];
    /** Links that could not be made as such (too many, the first name is gone): a copy of the content does instead. */
    readonly refusedLinks: readonly number[];
    readonly meta: readonly ItemFailure[];
    readonly ownersKept: number;
  };
}

export const task: Task<ExtractOthersTask['input'], ExtractOthersTask['output']> = (
  { root, items, collision },
  context,
) => {
  const folders = folderCacheOf(context, root);
  const failures: ItemFailure[] = [];
  const refusedLinks: number[] = [];
  const meta: ItemFailure[] = [];
  let ownersKept = 0;
  for (const [index, item] of items.entries()) {
    try {
      const { problems, ownerKept } = makeItem(folders, item, index, collision);
      for (const problem of problems) meta.push({ index, ...problem });
      if (ownerKept) ownersKept++;
    } catch (error) {
      const errno = errnoOf(error) ?? '';
      const refused = ['ENOENT', 'EMLINK', 'EXDEV', 'EPERM', 'ENOTSUP', 'EOPNOTSUPP'].includes(errno);
      if (item.make.what === 'link' && refused) refusedLinks.push(index);
      else failures.push(failureOf(index, error));
    }
  }
  return { output: { failures, refusedLinks, meta, ownersKept } };
};

function makeItem(folders: FolderCache, item: OtherItem, index: number, collision: Collision): MetaOutcome {
  // The target's folder first: opening the other one of a link must not close it again, so that one is opened second and both are in the cache.
  const { make } = item;
  folders.folder(item.folder);
  const from = make.what === 'link' ? folders.folder(make.folder) : -1;
  const dir = folders.folder(item.folder);
  const temporary = collision.how === 'rename' ? Buffer.from(`${collision.prefix}other-${index}`) : undefined;
  const name = temporary ?? item.name;
  if (make.what === 'link' && isSameInode(from, make.name, dir, item.name)) return { ownerKept: false, problems: [] };
  makeNew(collision.how !== 'fail', dir, name, () => {
    switch (make.what) {
      case 'symlink':
        return makeSymlinkAt(dir, name, make.target);
      case 'fifo':
        return makeNodeAt(dir, name, 'fifo', 0o600);
      case 'chardev':
      case 'blockdev':
        return makeNodeAt(dir, name, make.what, 0o600, make);
      case 'link':
        return makeHardLinkAt(from, make.name, dir, name);
    }
  });
  try {
    const outcome =
      make.what === 'link'
        ? { ownerKept: false, problems: [] }
        : applyMetaAt(dir, name, item.meta, make.what !== 'symlink');
    if (temporary !== undefined) renameAt(dir, temporary, dir, item.name);
    return outcome;
  } catch (error) {
    removeHalfWritten(dir, name);
    throw error;
  }
}

/** Renaming a name over another name of the same inode does nothing and leaves both; such a link is there already. */
function isSameInode(fromDir: number, from: Uint8Array, dir: number, name: Uint8Array): boolean {
  const there = statAt(dir, name);
  if (there === undefined || there.nlink < 2) return false;
  const primary = statAt(fromDir, from);
  return (
    primary !== undefined &&
    primary.ino === there.ino &&
    primary.devMajor === there.devMajor &&
    primary.devMinor === there.devMinor
  );
}

function makeNew(replace: boolean, dir: number, name: Uint8Array, make: () => void): void {
  try {
    make();
  } catch (error) {
    if (!replace || errnoOf(error) !== 'EEXIST') throw error;
    removeFileAt(dir, name);
    make();
  }
}

/** As for files, by name and without following: a FIFO or device must not be opened. */
function applyMetaAt(dir: number, name: Uint8Array, meta: ExtractMeta, hasMode: boolean): MetaOutcome {
  const outcome: MetaOutcome = { ownerKept: false, problems: [] };
  const self = processOwner();
  if (self.uid === 0 || meta.uid !== self.uid || meta.gid !== self.gid) {
    outcome.ownerKept = !attempt(outcome, 'owner', () => changeOwnerAt(dir, name, meta.uid, meta.gid), true);
  }
  for (const { name: xattr, value } of meta.xattrs ?? []) {
    attempt(outcome, `extended attribute ${showName(xattr)}`, () =>
      writeXattr({ path: procPath(dir, name) }, xattr, value),
    );
  }
  if (hasMode)
    attempt(outcome, 'mode', () => changeModeAt(dir, name, outcome.ownerKept ? meta.mode & 0o1777 : meta.mode));
  attempt(outcome, 'modification time', () => {
    changeTimeAt(dir, name, meta.mtimeNs);
    if (isFarTime(meta.mtimeNs) && statAt(dir, name)?.mtimeNs !== meta.mtimeNs) {
      outcome.problems.push({
        code: 'E_IO',
        message: 'modification time: the file system cannot keep a time that far away',
      });
    }
  });
  return outcome;
}
