/**
 * Cuts the walk of a tree into windows: enough entries at a time that packs are read in long ranges and all workers are busy, and few enough
 * that memory does not grow with the tree. Windows are finished in order, so a folder may be ended in the window of its last entry.
 */
import { joinPath } from '../browse/entry-name.ts';
import { contentBytes, type TreeReader } from '../browse/tree-reader.ts';
import { walkTree } from '../browse/walk-tree.ts';
import type { EdgeError } from '../core/errors.ts';
import { toHex } from '../core/ids.ts';
import type { FilterAnswer, PathFilter } from '../policy/path-filter.ts';
import type { Entry } from '../tree/entry.ts';

export interface WindowItem {
  /** Its folder, relative to the top. */
  readonly folder: Uint8Array;
  readonly name: Uint8Array;
  readonly entry: Entry;
}

export interface WindowFolder {
  readonly path: Uint8Array;
  readonly entry: Entry;
}

export interface EndedFolder extends WindowFolder {
  /** The names that the tree has in it; only when asked for, and undefined when a part of its listing is lost. */
  readonly names: readonly Uint8Array[] | undefined;
}

export interface RestoreWindow {
  /** Parents before children. */
  readonly folders: WindowFolder[];
  readonly smallFiles: WindowItem[];
  readonly largeFiles: WindowItem[];
  /** Symlinks, FIFOs, devices. */
  readonly others: WindowItem[];
  /** Further names of hard-linked entries. */
  readonly links: WindowItem[];
  /** Children before parents. */
  readonly ended: EndedFolder[];
  readonly broken: { readonly path: Uint8Array; readonly error: EdgeError }[];
}

/** Files up to this many bytes are written whole by one worker. */
export const SMALL_FILE_BYTES_MAX = 4 * 1024 * 1024;
const WINDOW_ENTRIES_MAX = 4096;
const WINDOW_REFS_MAX = 8192;

export interface WindowOptions {
  readonly filter: PathFilter | undefined;
  /** Collect the names of each folder. */
  readonly withNames: boolean;
  readonly signal: AbortSignal | undefined;
}

interface OpenFolder {
  readonly path: Uint8Array;
  readonly entry: Entry;
  /** In a window already: the folder is to be made. */
  made: boolean;
  names: Uint8Array[] | undefined;
}

export async function* cutWindows(
  reader: TreeReader,
  top: Entry,
  options: WindowOptions,
): AsyncGenerator<RestoreWindow> {
  const { filter, withNames, signal } = options;
  const firstNames = new Set<string>();
  const stack: OpenFolder[] = [{ path: new Uint8Array(0), entry: top, made: true, names: withNames ? [] : undefined }];
  let window = emptyWindow();
  let entries = 0;
  let refs = 0;

  const ahead = (path: Uint8Array) => filter === undefined || filter(path, true) !== 'skip';
  // The walk asks whether to go into a folder right after it reported it.
  let answer: FilterAnswer = 'take';
  for await (const step of walkTree(reader, top, { enter: () => answer !== 'skip', ahead, signal })) {
    if (step.step === 'broken') {
      window.broken.push({ path: step.path, error: step.error });
      const folder = stack.find((one) => Buffer.compare(one.path, step.path) === 0);
      if (folder !== undefined) folder.names = undefined;
      continue;
    }
    if (step.step === 'leave') {
      const folder = stack.pop()!;
      if (folder.made) window.ended.push({ path: folder.path, entry: folder.entry, names: folder.names });
      continue;
    }
    const { path, entry } = step;
    const parent = stack.at(-1)!;
    parent.names?.push(entry.name);
    if (filter !== undefined) answer = filter(path, entry.type === 'dir');
    const selected = answer === 'take';
    if (entry.type === 'dir') {
      if (selected) entries += makeWithParents(window, stack);
      if (answer !== 'skip') stack.push({ path, entry, made: selected, names: withNames ? [] : undefined });
      if (selected) {
        window.folders.push({ path, entry });
        entries++;
      }
    } else if (selected) {
      entries += 1 + makeWithParents(window, stack);
      refs += addItem(window, { folder: parent.path, name: entry.name, entry }, firstNames);
    }
    if (entries >= WINDOW_ENTRIES_MAX || refs >= WINDOW_REFS_MAX) {
      yield window;
      window = emptyWindow();
      entries = 0;
      refs = 0;
    }
  }
  window.ended.push({ path: stack[0]!.path, entry: top, names: stack[0]!.names });
  yield window;
}

/** One entry that is no folder, by itself. */
export function windowOfOne(entry: Entry): RestoreWindow {
  const window = emptyWindow();
  addItem(window, { folder: new Uint8Array(0), name: entry.name, entry }, new Set());
  return window;
}

export function itemPath(item: WindowItem): Uint8Array {
  return joinPath(item.folder, item.name);
}

export function emptyWindow(): RestoreWindow {
  return { folders: [], smallFiles: [], largeFiles: [], others: [], links: [], ended: [], broken: [] };
}

/** Folders that were not selected themselves are made when something in them is. */
function makeWithParents(window: RestoreWindow, stack: readonly OpenFolder[]): number {
  let made = 0;
  for (const folder of stack) {
    if (folder.made) continue;
    folder.made = true;
    window.folders.push({ path: folder.path, entry: folder.entry });
    made++;
  }
  return made;
}

/** Returns the number of chunks that will be looked up at once for it. */
function addItem(window: RestoreWindow, item: WindowItem, firstNames: Set<string>): number {
  const { entry } = item;
  if (entry.hardLink !== undefined) {
    const key = toHex(entry.hardLink);
    if (firstNames.has(key)) {
      window.links.push(item);
      return 0;
    }
    firstNames.add(key);
  }
  if (entry.type !== 'file') {
    window.others.push(item);
    return 0;
  }
  const content = entry.content;
  if (contentBytes(entry) > SMALL_FILE_BYTES_MAX || content?.form === 'lists') {
    window.largeFiles.push(item);
    return 0;
  }
  window.smallFiles.push(item);
  return content?.refs.length ?? 0;
}
