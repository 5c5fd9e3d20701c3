/** Removes a folder with all in it, going down through open folders only and never through a symlink. */
import { EdgeError, errnoOf } from '../../core/errors.ts';
import { statFd } from '../../files/file-stat.ts';
import { listFolder } from '../../files/list-folder.ts';
import { removeFileAt, removeFolderAt } from '../../files/make-entry.ts';
import { closeFd, openFolderAt } from '../../files/open-file.ts';

/** Removes `name` in the open folder `dir`, whatever it is; what is not there is no error. Depth costs one open folder each. */
export function removeTreeAt(dir: number, name: Uint8Array): void {
  const stack: { readonly fd: number; readonly parent: number; readonly name: Uint8Array; readonly names: Buffer[] }[] =
    [];
  try {
    enterOrRemove(dir, name);
    for (;;) {
      const level = stack.at(-1);
      if (level === undefined) return;
      const next = level.names.pop();
      if (next !== undefined) {
        enterOrRemove(level.fd, next);
        continue;
      }
      stack.pop();
      closeFd(level.fd);
      removeFolderAt(level.parent, level.name);
    }
  } finally {
    for (const { fd } of stack) closeFd(fd);
  }

  function enterOrRemove(parent: number, child: Uint8Array): void {
    let fd: number;
    try {
      fd = openFolderAt(parent, child);
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === 'ENOENT') return;
      if (errno !== 'ENOTDIR' && errno !== 'ELOOP') throw error;
      removeFileAt(parent, child);
      return;
    }
    stack.push({ fd, parent, name: child, names: [] });
    const [here, above] = [statFd(fd), statFd(parent)];
    if (here.devMajor !== above.devMajor || here.devMinor !== above.devMinor) {
      throw new EdgeError('E_FAILED', 'another file system is mounted in it; nothing of that is removed');
    }
    stack.at(-1)!.names.push(...listFolder(fd));
  }
}
