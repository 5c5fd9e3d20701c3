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
  /** Whether to read this page of a folder; pages left out are taken as empty. */
  readonly usePage?: (page: ChunkId) => boolean;
  readonly signal?: AbortSignal | undefined;
}

/** First pages of folders that are read in one go. A page is 64 KiB to 1 MiB at most times, 4 MiB at worst. */
const PAGES_AHEAD_MAX = 48;

interface Level {
  readonly path: Uint8Array;
  readonly entry: Entry;
  /** Pages not yet taken. */
  readonly pages: readonly ChunkId[];
  page: number;
  entries: readonly Entry[];
  at: number;
  lastName: Uint8Array | undefined;
  /** First pages of subfolders of the entries in hand, read ahead, by hex id. */
  readonly ahead: Map<string, readonly Entry[] | EdgeError>;
  aheadUpTo: number;
}

/** The steps of everything below `start`. Only an abort throws; what cannot be read is a `broken` step. */
export async function* walkTree(reader: TreeReader, start: Entry, options: WalkOptions = {}): AsyncGenerator<WalkStep> {
  const { signal } = options;
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
      const entries = await takePage(reader, stack.at(-2), page, signal);
      const wrong = Array.isArray(entries) ? outOfOrder(level, entries as readonly Entry[]) : (entries as EdgeError);
      if (wrong !== undefined) {
        yield { step: 'broken', path: level.path, page, error: wrong };
        continue;
      }
      level.entries = entries as readonly Entry[];
      level.at = 0;
      level.aheadUpTo = 0;
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
    await readAhead(reader, level, options);
    stack.push(openLevel(path, entry, options));
  }
}

function openLevel(path: Uint8Array, entry: Entry, options: WalkOptions): Level {
  const all = entry.pages ?? [];
  const pages = options.usePage === undefined ? all : all.filter(options.usePage);
  return { path, entry, pages, page: 0, entries: [], at: 0, lastName: undefined, ahead: new Map(), aheadUpTo: 0 };
}

async function takePage(
  reader: TreeReader,
  parent: Level | undefined,
  page: ChunkId,
  signal: AbortSignal | undefined,
): Promise<readonly Entry[] | EdgeError> {
  const hex = toHex(page);
  const ahead = parent?.ahead.get(hex);
  // Each is taken once, so that what was walked does not stay in memory.
  parent?.ahead.delete(hex);
  if (ahead !== undefined) return ahead;
  return (await reader.pages([page], signal))[0]!;
}

/** Before the first of some subfolders is entered: reads the first pages of the next ones too, in one request. */
async function readAhead(reader: TreeReader, level: Level, options: WalkOptions): Promise<void> {
  if (level.at - 1 < level.aheadUpTo) return;
  level.ahead.clear();
  const wanted = new Map<string, ChunkId>();
  let i = level.at - 1;
  for (; i < level.entries.length && wanted.size < PAGES_AHEAD_MAX; i++) {
    const page = level.entries[i]!.pages?.[0];
    if (page !== undefined && options.usePage?.(page) !== false) wanted.set(toHex(page), page);
  }
  level.aheadUpTo = i;
  const ids = [...wanted.values()];
  const results = await reader.pages(ids, options.signal);
  for (const [n, hex] of [...wanted.keys()].entries()) level.ahead.set(hex, results[n]!);
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
