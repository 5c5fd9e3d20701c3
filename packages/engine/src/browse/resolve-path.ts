/** Finds what `SNAPSHOT:PATH` names inside a snapshot's tree. */
import { EdgeError } from '../core/errors.ts';
import { escapeName } from '../policy/escape-name.ts';
import type { Entry } from '../tree/entry.ts';
import { joinPath, splitPath } from './entry-name.ts';
import type { TreeReader } from './tree-reader.ts';

export interface ResolvedPath {
  /** Normalised: no leading, trailing or doubled slashes; empty for the root itself. */
  readonly path: Uint8Array;
  readonly entry: Entry;
}

/** E_NOT_FOUND when nothing has that path, or something on the way is no folder; E_USAGE for `..`. Symlinks are not followed. */
export async function resolvePath(
  reader: TreeReader,
  root: Entry,
  path: Uint8Array,
  signal?: AbortSignal,
): Promise<ResolvedPath> {
  let entry = root;
  let at: Uint8Array = new Uint8Array(0);
  for (const name of splitPath(path)) {
    if (name.length === 2 && name[0] === 0x2e && name[1] === 0x2e) {
      throw new EdgeError('E_USAGE', `a path inside a snapshot cannot have ".." in it: ${escapeName(path)}`);
    }
    const next = entry.type === 'dir' ? await reader.child(entry, name, signal) : undefined;
    if (next === undefined) {
      const where = at.length === 0 ? 'the snapshot' : escapeName(at);
      throw new EdgeError('E_NOT_FOUND', `no ${escapeName(name)} in ${where}`, {
        hint: 'List what is there with `edgestore ls SNAPSHOT[:PATH]`.',
        context: { path: escapeName(path) },
      });
    }
    entry = next;
    at = joinPath(at, name);
  }
  return { path: at, entry };
}
