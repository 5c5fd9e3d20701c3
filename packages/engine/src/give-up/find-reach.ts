/**
 * Which snapshots reach chunks that are gone. A snapshot counts when its walk meets one: what lies below a page that is
 * gone cannot be read, and needs no look.
 */
import type { TreeReader } from '../browse/tree-reader.ts';
import { walkTree } from '../browse/walk-tree.ts';
import { EdgeError, isEdgeError } from '../core/errors.ts';
import { type ChunkId, type HexId, toHex } from '../core/ids.ts';
import type { SnapshotRow } from '../core/ports/index.ts';
import type { Entry } from '../tree/entry.ts';

export interface FindReachDeps {
  readonly reader: TreeReader;
  /** Chunks that were given up before: what lies below one is not looked at either. */
  readonly givenUp?: ReadonlySet<HexId>;
  readonly signal?: AbortSignal | undefined;
}

/**
 * What of the gone chunks each snapshot reaches; those that reach none are left out. Throws what a page says that is
 * not gone and cannot be read.
 */
export async function findReach(
  snapshots: readonly SnapshotRow[],
  gone: ReadonlySet<HexId>,
  deps: FindReachDeps,
): Promise<Map<SnapshotRow, Set<HexId>>> {
  // Pages of folders below which nothing is gone; snapshots share most of them.
  const clean = new Set<HexId>();
  const reach = new Map<SnapshotRow, Set<HexId>>();
  for (const snapshot of snapshots) {
    const met = await metIn(snapshot.body.entry, gone, clean, deps);
    if (met.size > 0) reach.set(snapshot, met);
  }
  return reach;
}

async function metIn(
  top: Entry,
  gone: ReadonlySet<HexId>,
  clean: Set<HexId>,
  { reader, signal, givenUp }: FindReachDeps,
): Promise<Set<HexId>> {
  const isNowhere = (id: ChunkId): boolean => gone.has(toHex(id)) || givenUp?.has(toHex(id)) === true;
  const met = new Set<HexId>();
  let meetings = 0;
  const look = (ids: readonly { readonly id: ChunkId }[]): void => {
    for (const { id } of ids) {
      const hex = toHex(id);
      if (!gone.has(hex)) continue;
      met.add(hex);
      meetings++;
    }
  };
  const lookAt = async (entry: Entry): Promise<void> => {
    look((entry.pages ?? []).map((id) => ({ id })));
    const { content } = entry;
    if (content === undefined) return;
    if (content.form === 'inline') return look(content.refs);
    look(content.lists);
    try {
      for await (const refs of reader.refs(entry, signal)) look(refs);
    } catch (error) {
      signal?.throwIfAborted();
      // What a list that is gone names cannot be read. Another one must be: a chunk in it may be gone, too.
      if (!isEdgeError(error) || !content.lists.some(({ id }) => isNowhere(id))) throw error;
    }
  };
  await lookAt(top);
  if (top.type !== 'dir') return met;
  const isClean = (entry: Entry): boolean => (entry.pages ?? []).every((page) => clean.has(toHex(page)));
  const before: number[] = [];
  const enter = (_path: Uint8Array, entry: Entry): boolean => {
    if (isClean(entry)) return false;
    before.push(meetings);
    return true;
  };
  const ahead = (_path: Uint8Array, entry: Entry): boolean => !isClean(entry);
  if (isClean(top)) return met;
  const atTop = meetings;
  for await (const step of walkTree(reader, top, { enter, ahead, signal })) {
    if (step.step === 'entry') await lookAt(step.entry);
    else if (step.step === 'leave') {
      if (before.pop() === meetings) for (const page of step.entry.pages ?? []) clean.add(toHex(page));
    } else if (!isNowhere(step.page)) throw unreadable(step.error);
  }
  if (atTop === meetings) for (const page of top.pages ?? []) clean.add(toHex(page));
  return met;
}

function unreadable(cause: EdgeError): EdgeError {
  return new EdgeError(cause.code, `a folder of a snapshot cannot be read: ${cause.message}`, { cause });
}
