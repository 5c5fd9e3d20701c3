/**
 * The chunks of a snapshot that a target does not have yet, children before parents: content, then lists, then the pages that name them. So a page
 * that is placed has everything below it placed too, and a whole unchanged subtree costs one look.
 */
import type { Opener } from '../codec/open.ts';
import { EdgeError, formatError, isEdgeError, toEdgeError } from '../core/errors.ts';
import { type ChunkId, ChunkKind, toHex } from '../core/ids.ts';
import { TREE_DEPTH_MAX } from '../core/limits.ts';
import type { SealedSource } from '../core/ports/sealed-source.ts';
import type { SnapshotBody } from '../log/record-body.ts';
import { decodeList } from '../tree/content-list.ts';
import { decodePage } from '../tree/decode-page.ts';
import type { Entry } from '../tree/entry.ts';

export interface WantedChunk {
  readonly id: ChunkId;
  readonly kind: ChunkKind;
}

export interface WalkDeps {
  /** Where pages are read from, cheapest first. */
  readonly sources: readonly SealedSource[];
  readonly opener: Opener;
  /** 1 where the target has the chunk. */
  readonly isPlaced: (ids: readonly ChunkId[]) => Uint8Array;
}

/** A folder that is being walked: its pages that are not placed, and where in them the walk is. */
interface Frame {
  readonly pages: readonly ChunkId[];
  page: number;
  entries: readonly Entry[] | undefined;
  entry: number;
}

/**
 * `meta` leaves out file content, for a bucket that keeps trees and log only. A chunk may be yielded more than once. E_INTEGRITY when a page or list
 * cannot be read anywhere.
 */
export async function* unplacedChunks(
  snapshot: SnapshotBody,
  scope: 'all' | 'meta',
  deps: WalkDeps,
  signal?: AbortSignal,
): AsyncGenerator<WantedChunk> {
  yield* contentOf([snapshot.entry], scope, deps, signal);
  const stack: Frame[] = [frameOf(snapshot.entry, deps)];
  for (let frame = stack.at(-1); frame !== undefined; frame = stack.at(-1)) {
    signal?.throwIfAborted();
    const page = frame.pages[frame.page];
    if (page === undefined) {
      stack.pop();
    } else if (frame.entries === undefined) {
      frame.entries = decodePage(await readChunk(ChunkKind.tree, page, deps, signal));
      frame.entry = 0;
      yield* contentOf(frame.entries, scope, deps, signal);
    } else {
      const entry = nextFolder(frame);
      if (entry === undefined) {
        yield { id: page, kind: ChunkKind.tree };
        frame.entries = undefined;
        frame.page++;
      } else {
        if (stack.length > TREE_DEPTH_MAX) throw formatError('tree', `folders lie more than ${TREE_DEPTH_MAX} deep`);
        stack.push(frameOf(entry, deps));
      }
    }
  }
}

function nextFolder(frame: Frame): Entry | undefined {
  const entries = frame.entries ?? [];
  while (frame.entry < entries.length) {
    const entry = entries[frame.entry++]!;
    if (entry.type === 'dir' && (entry.pages?.length ?? 0) > 0) return entry;
  }
  return undefined;
}

function frameOf(folder: Entry, deps: WalkDeps): Frame {
  return { pages: unplaced(folder.pages ?? [], deps), page: 0, entries: undefined, entry: 0 };
}

/** Content of all files among the entries, asked for at once, since most pages have many small files. */
async function* contentOf(
  entries: readonly Entry[],
  scope: 'all' | 'meta',
  deps: WalkDeps,
  signal: AbortSignal | undefined,
): AsyncGenerator<WantedChunk> {
  const inline: ChunkId[] = [];
  const lists: ChunkId[] = [];
  for (const { content } of entries) {
    if (content === undefined) continue;
    if (content.form === 'lists') for (const list of content.lists) lists.push(list.id);
    else if (scope === 'all') for (const ref of content.refs) inline.push(ref.id);
  }
  for (const id of unplaced(inline, deps)) yield { id, kind: ChunkKind.data };
  for (const list of unplaced(lists, deps)) {
    if (scope === 'all') {
      const refs = decodeList(await readChunk(ChunkKind.list, list, deps, signal));
      const ids = refs.map((ref) => ref.id);
      for (const id of unplaced(ids, deps)) yield { id, kind: ChunkKind.data };
    }
    yield { id: list, kind: ChunkKind.list };
  }
}

function unplaced(ids: readonly ChunkId[], deps: WalkDeps): ChunkId[] {
  if (ids.length === 0) return [];
  const placed = deps.isPlaced(ids);
  return ids.filter((_, i) => placed[i] === 0);
}

/** The plaintext from the first source that has a good copy. A source that cannot be asked is passed over, and told when no other helps. */
async function readChunk(
  kind: ChunkKind,
  id: ChunkId,
  deps: WalkDeps,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const problems: EdgeError[] = [];
  for (const source of deps.sources) {
    try {
      const [address] = await source.locate([id], signal);
      if (address === undefined) continue;
      let plain: Uint8Array | undefined;
      for await (const answer of source.fetch([address], signal)) {
        if ('sealed' in answer) plain = deps.opener.open(kind, id, answer.address.keyId, answer.sealed);
        else problems.push(new EdgeError('E_INTEGRITY', `${source.label}: ${answer.detail}`));
      }
      if (plain !== undefined) return plain;
    } catch (error) {
      signal?.throwIfAborted();
      problems.push(toEdgeError(error, source.label));
    }
  }
  const unreachable = problems.find((problem) => !isEdgeError(problem, 'E_INTEGRITY', 'E_FORMAT'));
  if (unreachable !== undefined) throw unreachable;
  const why = problems.length === 0 ? 'no store has it' : problems.map((problem) => problem.message).join('; ');
  throw new EdgeError('E_INTEGRITY', `a tree chunk ${toHex(id).slice(0, 8)} of a snapshot cannot be read: ${why}`, {
    hint: 'Run `edgestore scrub --all` to see what is damaged.',
    context: { chunk: toHex(id) },
  });
}
