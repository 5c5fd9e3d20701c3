/** Walks a tree depth first in the order of name bytes, without recursion, reading the pages of folders ahead in batches. */
import { type EdgeError, formatError } from '../core/errors.ts';
import { type ChunkId, toHex } from '../core/ids.ts';
import { TREE_DEPTH_MAX } from '../core/limits.ts';
import type { Entry } from '../tree/entry.ts';
import { compareNames, joinPath } from './entry-name.ts';
import type { TreeReader } from './tree-reader.ts';

export type WalkStep =
  /** Folders come before what is in them. The start itself is not reported. */
  | { readonly step: 'entry'; readonly path: Uint8Array; readonly entry: Entry; readonly depth: number }
  /** After all that is in a folder, only for folders that were entered. */
  | { readonly step: 'leave'; readonly path: Uint8Array; readonly entry: Entry; readonly depth: number }
  /** A part of a folder's listing cannot be read; `path` is the folder. Its other parts follow. */
  | { readonly step: 'broken'; readonly path: Uint8Array; readonly page: ChunkId; readonly error: EdgeError };

export interface WalkOptions {
  /** The path of the start, put before every path reported. */
  readonly base?: Uint8Array;
  /** Whether to go into a folder that was just reported. */
  readonly enter?: (path: Uint8Array, entry: Entry) => boolean;
  /** With `enter`: whether a folder that is not reported yet will probably be entered, so that it is read ahead. Without effects. */
  readonly ahead?: (path: Uint8Array, entry: Entry) => boolean;
  /** Whether to read this page of a folder; pages left out are taken as empty. */
  readonly usePage?: (page: ChunkId) => boolean;
  readonly signal?: AbortSignal | undefined;
}

/** First pages of folders that are read in one request. A page is 64 KiB to 1 MiB at most times, 4 MiB at worst. */
const PAGES_AT_ONCE = 48;
/** Entries of pages that were read ahead and not yet taken: what they cost in memory. */
const ENTRIES_AHEAD_MAX = 8192;

type Page = readonly Entry[] | EdgeError;

interface Level {
  readonly path: Uint8Array;
  readonly entry: Entry;
  /** Pages not yet taken. */
  readonly pages: readonly ChunkId[];
  page: number;
  entries: readonly Entry[];
  at: number;
  lastName: Uint8Array | undefined;
}

/** The steps of everything below `start`. Only an abort throws; what cannot be read is a `broken` step. */
export async function* walkTree(reader: TreeReader, start: Entry, options: WalkOptions = {}): AsyncGenerator<WalkStep> {
  const { signal } = options;
  /** Pages read ahead, by hex id; each is taken once, so that what was walked does not stay in memory. */
  const ahead = new Map<string, Page>();
  const stack: Level[] = [openLevel(options.base ?? new Uint8Array(0), start, options)];
  for (;;) {
    const level = stack.at(-1);
    if (level === undefined) return;
    const entry = level.entries[level.at];
    if (entry === undefined) {
      const page = level.pages[level.page];
      if (page === undefined) {
        stack.pop();
        if (stack.length > 0) yield { step: 'leave', path: level.path, entry: level.entry, depth: stack.length };
        continue;
      }
      signal?.throwIfAborted();
      level.page++;
      const entries = await takePage(reader, ahead, page, signal);
      const wrong = Array.isArray(entries) ? outOfOrder(level, entries as readonly Entry[]) : (entries as EdgeError);
      if (wrong !== undefined) {
        yield { step: 'broken', path: level.path, page, error: wrong };
        continue;
      }
      level.entries = entries as readonly Entry[];
      level.at = 0;
      continue;
    }
    level.at++;
    const path = joinPath(level.path, entry.name);
    yield { step: 'entry', path, entry, depth: stack.length };
    if (entry.type !== 'dir' || options.enter?.(path, entry) === false) continue;
    if (stack.length >= TREE_DEPTH_MAX) {
      const error = formatError('tree', `it is more than ${TREE_DEPTH_MAX} folders deep`);
      yield { step: 'broken', path, page: entry.pages?.[0] ?? new Uint8Array(0), error };
      stack.push(openLevel(path, { ...entry, pages: [] }, options));
      continue;
    }
    const next = openLevel(path, entry, options);
    if (next.pages.length > 0 && !ahead.has(toHex(next.pages[0]!))) await readAhead(reader, ahead, level, options);
    stack.push(next);
  }
}

function openLevel(path: Uint8Array, entry: Entry, options: WalkOptions): Level {
  const all = entry.pages ?? [];
  const pages = options.usePage === undefined ? all : all.filter(options.usePage);
  return { path, entry, pages, page: 0, entries: [], at: 0, lastName: undefined };
}

async function takePage(
  reader: TreeReader,
  ahead: Map<string, Page>,
  page: ChunkId,
  signal: AbortSignal | undefined,
): Promise<Page> {
  const hex = toHex(page);
  const known = ahead.get(hex);
  ahead.delete(hex);
  return known ?? (await reader.pages([page], signal))[0]!;
}

interface Coming {
  readonly path: Uint8Array;
  readonly entry: Entry;
}

/**
 * Before a folder is entered that was not read ahead: reads its first page, those of the folders after it, and then of the folders in those, a
 * request a level. Without it a walk waits for one small read after the other.
 */
async function readAhead(
  reader: TreeReader,
  ahead: Map<string, Page>,
  level: Level,
  options: WalkOptions,
): Promise<void> {
  const [first, ...rest] = level.entries.slice(level.at - 1);
  const isWanted = options.ahead ?? (() => options.enter === undefined);
  let held = 0;
  for (const page of ahead.values()) held += Array.isArray(page) ? page.length : 1;
  // Pages of folders further up wait here for their turn; what was read ahead and then not entered must not stay for ever.
  if (held > ENTRIES_AHEAD_MAX) ahead.clear();
  let coming: Coming[] = [{ path: joinPath(level.path, first!.name), entry: first! }];
  coming.push(...foldersOf(level.path, rest, isWanted, PAGES_AT_ONCE - 1));
  let room = ENTRIES_AHEAD_MAX;
  while (coming.length > 0 && room > 0) {
    const ids = new Map<string, ChunkId>();
    for (const { entry } of coming) {
      const page = entry.pages?.find((id) => options.usePage?.(id) !== false);
      if (page !== undefined) ids.set(toHex(page), page);
    }
    const pages = await reader.pages([...ids.values()], options.signal);
    for (const [i, hex] of [...ids.keys()].entries()) {
      ahead.set(hex, pages[i]!);
      room -= Array.isArray(pages[i]) ? pages[i].length : 1;
    }
    const below: Coming[] = [];
    for (const { path, entry } of coming) {
      const page = entry.pages?.[0] === undefined ? undefined : ahead.get(toHex(entry.pages[0]));
      if (Array.isArray(page))
        below.push(...foldersOf(path, page as readonly Entry[], isWanted, PAGES_AT_ONCE - below.length));
      if (below.length >= PAGES_AT_ONCE) break;
    }
    coming = below;
  }
}

function foldersOf(
  path: Uint8Array,
  entries: readonly Entry[],
  isWanted: (path: Uint8Array, entry: Entry) => boolean,
  count: number,
): Coming[] {
  const folders: Coming[] = [];
  for (const entry of entries) {
    if (folders.length >= count) break;
    if (entry.type !== 'dir' || entry.pages === undefined || entry.pages.length === 0) continue;
    const at = joinPath(path, entry.name);
    if (isWanted(at, entry)) folders.push({ path: at, entry });
  }
  return folders;
}

/** Names go on rising from page to page; otherwise one name could come twice. */
function outOfOrder(level: Level, entries: readonly Entry[]): EdgeError | undefined {
  const first = entries[0];
  if (first === undefined) return undefined;
  if (level.lastName !== undefined && compareNames(level.lastName, first.name) >= 0) {
    return formatError('tree page', 'its names do not follow those of the page before');
  }
  level.lastName = entries.at(-1)!.name;
  return undefined;
}
