/**
 * Follows what has reached stable storage, as POSIX promises it: a file's bytes after its fsync, a name after an fsync of its folder. Installed over
 * `node:fs/promises` by a test (`vi.mock`), so that a missing fsync is found without cutting power.
 */
import type { FileHandle } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';

type FsPromises = typeof import('node:fs/promises');

export interface DurabilityTracker {
  /** The module to use in place of `node:fs/promises`. */
  readonly fs: FsPromises;
  /** What a power loss now would take from this path; empty when it is safe. */
  unsafe(path: string): string[];
  /** What happened, in order, as `write name`, `sync name`, `rename from to`, `sync-folder name`. */
  readonly events: string[];
}

export function trackDurability(real: FsPromises): DurabilityTracker {
  const events: string[] = [];
  const dirtyBytes = new Set<string>();
  /** Names whose creation, or renaming to, was not synced in their folder. */
  const dirtyNames = new Set<string>();

  const open = async (path: string, flags?: string | number, mode?: number): Promise<FileHandle> => {
    const at = resolve(path);
    const isNew = await real.lstat(at).then(
      () => false,
      () => true,
    );
    const file = await real.open(path, flags, mode);
    if (isNew) dirtyNames.add(at);
    const isFolder = (await file.stat()).isDirectory();
    const changed =
      <Args extends unknown[], Result>(what: string, method: (...args: Args) => Promise<Result>) =>
      (...args: Args): Promise<Result> => {
        events.push(`${what} ${basename(at)}`);
        dirtyBytes.add(at);
        return method.apply(file, args);
      };
    Object.assign(file, {
      write: changed('write', file.write as never),
      truncate: changed('truncate', file.truncate as never),
    });
    const sync = file.sync.bind(file);
    file.sync = async () => {
      await sync();
      events.push(`${isFolder ? 'sync-folder' : 'sync'} ${basename(at)}`);
      if (!isFolder) dirtyBytes.delete(at);
      else for (const name of dirtyNames) if (dirname(name) === at) dirtyNames.delete(name);
    };
    return file;
  };
  const rename = async (from: string, to: string): Promise<void> => {
    await real.rename(from, to);
    const [source, target] = [resolve(from), resolve(to)];
    events.push(`rename ${basename(source)} ${basename(target)}`);
    if (dirtyBytes.delete(source)) dirtyBytes.add(target);
    dirtyNames.delete(source);
    dirtyNames.add(target);
  };
  const mkdir = async (path: string, options?: Parameters<FsPromises['mkdir']>[1]): Promise<string | undefined> => {
    const made = await real.mkdir(path, options);
    dirtyNames.add(resolve(path));
    return made;
  };
  return {
    fs: { ...real, open, rename, mkdir } as FsPromises,
    events,
    unsafe: (path) => {
      const problems: string[] = [];
      const at = resolve(path);
      if (dirtyBytes.has(at)) problems.push(`bytes of ${at}`);
      for (let name = at; name !== dirname(name); name = dirname(name))
        if (dirtyNames.has(name)) problems.push(`name ${name}`);
      return problems;
    },
  };
}
