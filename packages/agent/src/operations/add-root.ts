/** Makes a folder a root: one item under `conf.d`. */
import { type Stats, statSync } from 'node:fs';
import { basename, resolve, sep } from 'node:path';
import { EdgeError, errnoOf, toEdgeError } from '@edgestore/engine';
import { writeConfigItem } from '../config/config-items.ts';
import type { LoadedConfig } from '../config/load-config.ts';

export interface NewRoot {
  /** Absolute, as text. */
  readonly path: string;
  readonly name: string | undefined;
  readonly watch: boolean;
  /** Further keys of the item, as in the file. */
  readonly values: Readonly<Record<string, unknown>>;
}

/** The root's name: as asked, or the folder's, with a number behind it when another root has that one. Writes nothing. */
export function nameForRoot({ path, name }: Pick<NewRoot, 'path' | 'name'>, loaded: LoadedConfig): string {
  const taken = new Set(loaded.config.roots.map((root) => root.name));
  if (name !== undefined) {
    const other = loaded.config.roots.find((root) => root.name === name);
    if (other !== undefined)
      throw new EdgeError('E_USAGE', `there is a root ${name} already: ${other.path}`, {
        hint: 'Give another --name.',
      });
    return name;
  }
  const base =
    basename(path)
      .replace(/[^A-Za-z0-9._-]+/g, '-')
      .replace(/^[^A-Za-z0-9]+/, '')
      .slice(0, 56) || 'root';
  if (!taken.has(base)) return base;
  for (let number = 2; ; number++) if (!taken.has(`${base}-${number}`)) return `${base}-${number}`;
}

/** E_NOT_FOUND when there is nothing at the path, E_USAGE for the data dir itself. */
export function checkRootPath(path: string, loaded: LoadedConfig): void {
  const stat = statOf(path);
  if (!stat.isDirectory() && !stat.isFile())
    throw new EdgeError('E_USAGE', `${path} is neither a folder nor a file`, {
      hint: 'Name the folder to protect.',
    });
  const dataDir = resolve(loaded.dataDir);
  if (path === dataDir || path.startsWith(dataDir + sep))
    throw new EdgeError('E_USAGE', `${path} is (in) the data dir; it cannot be a root`, {
      hint: 'Name the folder with your own files.',
    });
}

/** Writes the item. Returns the file. */
export function addRoot(root: NewRoot, name: string, loaded: LoadedConfig): string {
  const values = Object.fromEntries(Object.entries(root.values).filter(([, value]) => value !== undefined));
  return writeConfigItem(loaded.dataDir, {
    kind: 'roots',
    name,
    values: { path: root.path, ...(root.watch ? {} : { watch: false }), ...values },
  });
}

function statOf(path: string): Stats {
  try {
    return statSync(path);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ENOENT' || errno === 'ENOTDIR')
      throw new EdgeError('E_NOT_FOUND', `there is no ${path}`, { hint: 'Check the path.' });
    if (errno === 'EACCES')
      throw new EdgeError('E_DENIED', `no permission to look at ${path}`, {
        hint: 'Run edgestore as a user who may.',
      });
    throw toEdgeError(error, `looking at ${path}`);
  }
}
