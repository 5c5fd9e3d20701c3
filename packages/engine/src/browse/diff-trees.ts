/** `snapshot diff`: what is different between two trees. Pages that both have are skipped unread, so the cost follows the changes. */
import { bytesEqual } from '../core/bytes.ts';
import { type ChunkId, toHex } from '../core/ids.ts';
import type { Content, Entry } from '../tree/entry.ts';
import { compareNames, joinPath } from './entry-name.ts';
import { brokenListing } from './list-tree.ts';
import type { TreeReader } from './tree-reader.ts';
import { walkTree } from './walk-tree.ts';

export interface TreeDifference {
  readonly path: Uint8Array;
  /** `type`: another kind of thing under the name. `content`: bytes or link target. `metadata`: only mode, owner, times, attributes. */
  readonly change: 'added' | 'removed' | 'type' | 'content' | 'metadata';
  readonly before: Entry | undefined;
  readonly after: Entry | undefined;
}

/**
 * Yields in the order of paths; what is below an added or removed folder is yielded one by one. Throws when a page that is needed cannot
 * be read: a difference with gaps would be wrong.
 */
export async function* diffTrees(
  reader: TreeReader,
  before: Entry,
  after: Entry,
  signal?: AbortSignal,
): AsyncGenerator<TreeDifference> {
  if (before.type !== 'dir' || after.type !== 'dir') {
    const change = changeOf(before, after);
    if (change !== undefined) yield { path: new Uint8Array(0), change, before, after };
    return;
  }
  const stack = [openPair(reader, new Uint8Array(0), before, after, signal)];
  for (;;) {
    const pair = stack.at(-1);
    if (pair === undefined) return;
    const next = await pair.next();
    if (next === undefined) {
      stack.pop();
      continue;
    }
    const { path, old, now } = next;
    if (old === undefined || now === undefined) {
      yield* oneSided(reader, path, old, now, signal);
      continue;
    }
    const change = changeOf(old, now);
    if (change === 'type') {
      yield* oneSided(reader, path, old, undefined, signal);
      yield* oneSided(reader, path, undefined, now, signal);
      continue;
    }
    if (change !== undefined) yield { path, change, before: old, after: now };
    if (old.type === 'dir' && !samePages(old, now)) stack.push(openPair(reader, path, old, now, signal));
  }
}

interface Pair {
  next(): Promise<
    { readonly path: Uint8Array; readonly old: Entry | undefined; readonly now: Entry | undefined } | undefined
  >;
}

/** Both folders' entries side by side, by name. */
function openPair(reader: TreeReader, path: Uint8Array, before: Entry, after: Entry, signal?: AbortSignal): Pair {
  // A page that both have covers the same names in both, since names are in order across pages.
  const shared = new Set((before.pages ?? []).map(toHex));
  const common = new Set((after.pages ?? []).map(toHex).filter((hex) => shared.has(hex)));
  const usePage = (page: ChunkId) => !common.has(toHex(page));
  const left = entriesOf(reader, before, usePage, path, signal);
  const right = entriesOf(reader, after, usePage, path, signal);
  let old: Entry | undefined;
  let now: Entry | undefined;
  let begun = false;
  return {
    async next() {
      if (!begun) [old, now] = [await left(), await right()];
      begun = true;
      if (old === undefined && now === undefined) return undefined;
      const order = old === undefined ? 1 : now === undefined ? -1 : compareNames(old.name, now.name);
      const pair = {
        path: joinPath(path, (order <= 0 ? old : now)!.name),
        old: order <= 0 ? old : undefined,
        now: order >= 0 ? now : undefined,
      };
      if (order <= 0) old = await left();
      if (order >= 0) now = await right();
      return pair;
    },
  };
}

function entriesOf(
  reader: TreeReader,
  folder: Entry,
  usePage: (page: ChunkId) => boolean,
  path: Uint8Array,
  signal: AbortSignal | undefined,
): () => Promise<Entry | undefined> {
  const steps = walkTree(reader, folder, { base: path, enter: () => false, usePage, signal });
  return async () => {
    const { value, done } = await steps.next();
    if (done === true || value === undefined) return undefined;
    if (value.step === 'broken') throw brokenListing(path, value.error);
    return value.entry;
  };
}

/** Something that only one side has, with all that is below it. */
async function* oneSided(
  reader: TreeReader,
  path: Uint8Array,
  before: Entry | undefined,
  after: Entry | undefined,
  signal: AbortSignal | undefined,
): AsyncGenerator<TreeDifference> {
  const change = after === undefined ? 'removed' : 'added';
  const entry = (after ?? before)!;
  yield { path, change, before, after };
  if (entry.type !== 'dir') return;
  for await (const step of walkTree(reader, entry, { base: path, signal })) {
    if (step.step === 'broken') throw brokenListing(step.path, step.error);
    if (step.step !== 'entry') continue;
    const isOld = after === undefined;
    yield { path: step.path, change, before: isOld ? step.entry : undefined, after: isOld ? undefined : step.entry };
  }
}

function samePages(a: Entry, b: Entry): boolean {
  const [left, right] = [a.pages ?? [], b.pages ?? []];
  return left.length === right.length && left.every((page, i) => bytesEqual(page, right[i]!));
}

function changeOf(old: Entry, now: Entry): 'type' | 'content' | 'metadata' | undefined {
  if (old.type !== now.type) return 'type';
  if (old.type === 'file' && !sameContent(old, now)) return 'content';
  if (old.type === 'symlink' && !bytesEqual(old.target ?? EMPTY, now.target ?? EMPTY)) return 'content';
  return sameMeta(old, now) ? undefined : 'metadata';
}

const EMPTY = new Uint8Array(0);

function sameContent(old: Entry, now: Entry): boolean {
  if (old.size !== now.size) return false;
  const holesOf = (entry: Entry) => JSON.stringify((entry.holes ?? []).map(({ offset, length }) => [offset, length]));
  const [left, right] = [refsOf(old.content), refsOf(now.content)];
  return (
    left.length === right.length &&
    left.every((ref, i) => bytesEqual(ref.id, right[i]!.id)) &&
    holesOf(old) === holesOf(now)
  );
}

function refsOf(content: Content | undefined) {
  if (content === undefined) return [];
  return content.form === 'inline' ? content.refs : content.lists;
}

function sameMeta(old: Entry, now: Entry): boolean {
  const [a, b] = [old.posix, now.posix];
  const [left, right] = [a.xattrs ?? [], b.xattrs ?? []];
  return (
    old.mtimeNs === now.mtimeNs &&
    a.mode === b.mode &&
    a.uid === b.uid &&
    a.gid === b.gid &&
    a.rdev?.major === b.rdev?.major &&
    a.rdev?.minor === b.rdev?.minor &&
    left.length === right.length &&
    left.every((xattr, i) => bytesEqual(xattr.name, right[i]!.name) && bytesEqual(xattr.value, right[i]!.value)) &&
    bytesEqual(old.hardLink ?? EMPTY, now.hardLink ?? EMPTY)
  );
}
