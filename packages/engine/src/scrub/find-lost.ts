/**
 * Which chunks that live snapshots reach have no copy anywhere. A pack that is gone is seen when the data dir is opened and leaves nothing to be read again,
 * so only the snapshots tell what was in it.
 */
import { walkTree } from '../browse/walk-tree.ts';
import { asBuffer } from '../core/bytes.ts';
import { isEdgeError } from '../core/errors.ts';
import { type ChunkId, type HexId, toHex } from '../core/ids.ts';
import type { SnapshotRow } from '../core/ports/index.ts';
import type { Entry } from '../tree/entry.ts';
import { createJudge, type Judge } from './judge-chunks.ts';
import type { ScrubDeps } from './scrub-types.ts';

export interface LostChunks {
  readonly lost: ReadonlySet<HexId>;
  readonly unknown: ReadonlySet<HexId>;
  /** Folder pages and lists that are somewhere but could not be read now: what lies below them was not looked at. */
  readonly unread: number;
  /** Places that could not be asked. */
  readonly unasked: readonly string[];
  /** Chunks of damaged snapshots that were given up: no new loss. */
  readonly givenUp: ReadonlySet<HexId>;
  /** False when there were so many that the search ended early. */
  readonly isComplete: boolean;
}

/** Looked up, and asked of other places, at a time. */
const CHUNKS_AT_ONCE = 1024;
/** What is found is kept in memory; whoever has lost more than this needs no longer list. */
const FOUND_MAX = 100_000;

/** Each page is read once, whatever number of snapshots shares it. `except`: chunks that are reported as damaged already. */
export async function findLost(deps: ScrubDeps, except: ReadonlySet<HexId>): Promise<LostChunks> {
  const judge = createJudge(deps);
  const found: Found = { lost: new Set(), unknown: new Set(), givenUp: new Set(), unread: 0, isComplete: true };
  const seen = new Set<string>();
  for (const snapshot of deps.log.snapshots()) {
    if (await deps.places.isWholeElsewhere(snapshot)) continue;
    await lookInto(snapshot, seen, judge, deps, except, found);
    if (found.lost.size + found.unknown.size < FOUND_MAX) continue;
    found.isComplete = false;
    break;
  }
  return { ...found, unasked: judge.unasked() };
}

interface Found {
  readonly lost: Set<HexId>;
  readonly unknown: Set<HexId>;
  readonly givenUp: Set<HexId>;
  unread: number;
  isComplete: boolean;
}

async function lookInto(
  snapshot: SnapshotRow,
  seen: Set<string>,
  judge: Judge,
  deps: ScrubDeps,
  except: ReadonlySet<HexId>,
  found: Found,
): Promise<void> {
  const isOwn = deps.places.isOwn(snapshot);
  let waiting: ChunkId[] = [];
  const settle = async (): Promise<void> => {
    const ids = waiting;
    waiting = [];
    for (const [i, verdict] of (await judge.judge(ids, isOwn)).entries()) {
      const hex = toHex(ids[i]!);
      if (verdict === 'kept') continue;
      if (snapshot.damaged && !deps.places.isHeld(snapshot, ids[i]!)) found.givenUp.add(hex);
      else if (!except.has(hex)) found[verdict].add(hex);
    }
  };
  const isFull = (): boolean => found.lost.size + found.unknown.size >= FOUND_MAX;
  const need = async (ids: readonly ChunkId[]): Promise<void> => {
    waiting.push(...ids);
    if (waiting.length >= CHUNKS_AT_ONCE) await settle();
  };
  /** A page that cannot be read is one that was judged, or it is somewhere out of reach. */
  const couldNotRead = async (id: ChunkId | undefined, error: unknown): Promise<void> => {
    deps.signal?.throwIfAborted();
    if (!isEdgeError(error)) throw error;
    await settle();
    const hex = id === undefined ? '' : toHex(id);
    if (![found.lost, found.unknown, found.givenUp, except].some((known) => known.has(hex))) found.unread++;
  };
  const look = async (entry: Entry): Promise<void> => {
    await need(entry.pages ?? []);
    const { content } = entry;
    if (content === undefined) return;
    if (content.form === 'inline') {
      await need(content.refs.map((ref) => ref.id));
      return;
    }
    await need(content.lists.map((list) => list.id));
    try {
      for await (const refs of deps.reader.refs(entry, deps.signal)) await need(refs.map((ref) => ref.id));
    } catch (error) {
      await couldNotRead(content.lists[0]?.id, error);
    }
  };

  const keyOf = (page: ChunkId): string => asBuffer(page).toString('latin1', 0, 16);
  const usePage = (page: ChunkId): boolean => !seen.has(keyOf(page));
  const markSeen = (folder: Entry): void => {
    for (const page of folder.pages ?? []) seen.add(keyOf(page));
  };
  const top = snapshot.body.entry;
  await look(top);
  if (top.type === 'dir') {
    for await (const step of walkTree(deps.reader, top, { usePage, signal: deps.signal })) {
      if (step.step === 'entry') await look(step.entry);
      else if (step.step === 'broken') await couldNotRead(step.page, step.error);
      else markSeen(step.entry);
      if (isFull()) break;
    }
    markSeen(top);
  }
  await settle();
}
