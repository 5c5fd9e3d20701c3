/** Which files of live snapshots need chunks that are damaged or lost. Trees are read only when there are such. */
import type { TreeReader } from '../browse/tree-reader.ts';
import { walkTree } from '../browse/walk-tree.ts';
import { isEdgeError } from '../core/errors.ts';
import { type ChunkId, type HexId, toHex } from '../core/ids.ts';
import type { SnapshotRow } from '../core/ports/index.ts';
import type { Entry } from '../tree/entry.ts';
import type { ScrubbedFile, ScrubDeps, ScrubFinding } from './scrub-types.ts';

/** Files named in a report; beyond, they are counted. */
const FILES_LISTED_MAX = 1000;

/** What is wrong with a chunk. */
export type Touched = ReadonlyMap<HexId, ScrubbedFile['state']>;

/** Of damage, only chunks without another good copy in this agent's stores count. */
export function withoutCopies(findings: readonly ScrubFinding[]): Set<HexId> {
  return new Set(
    findings.flatMap(({ chunk, otherCopies }) => (chunk !== undefined && otherCopies === 0 ? [toHex(chunk)] : [])),
  );
}

/** Newest snapshots first. */
export async function filesTouched(
  touched: Touched,
  deps: Pick<ScrubDeps, 'log' | 'reader' | 'signal'>,
): Promise<{ readonly files: ScrubbedFile[]; readonly omitted: number }> {
  const files: ScrubbedFile[] = [];
  let omitted = 0;
  if (touched.size === 0) return { files, omitted };
  // Pages below which nothing is touched; snapshots share most of them.
  const clean = new Set<HexId>();
  for (const snapshot of deps.log.snapshots().toReversed()) {
    for await (const { path, state } of touchedIn(deps.reader, snapshot, touched, clean, deps.signal)) {
      if (files.length < FILES_LISTED_MAX) files.push({ snapshot: snapshot.id, root: snapshot.body.root, path, state });
      else omitted++;
    }
  }
  return { files, omitted };
}

async function* touchedIn(
  reader: TreeReader,
  snapshot: SnapshotRow,
  touched: Touched,
  clean: Set<HexId>,
  signal: AbortSignal | undefined,
): AsyncGenerator<{ readonly path: Uint8Array; readonly state: ScrubbedFile['state'] }> {
  const top = snapshot.body.entry;
  const ofTop = await stateOf(reader, top, touched, signal);
  if (ofTop === 'damaged' || ofTop === 'lost') yield { path: new Uint8Array(0), state: ofTop };
  if (top.type !== 'dir') return;
  // How many touched entries were seen when each folder on the way down was entered.
  const depths: { readonly entry: Entry; readonly before: number }[] = [];
  let count = 0;
  const isClean = (entry: Entry) => (entry.pages ?? []).every((page) => clean.has(toHex(page)));
  const ahead = (_path: Uint8Array, entry: Entry) => !isClean(entry);
  const enter = (_path: Uint8Array, entry: Entry) => {
    const toEnter = !isClean(entry);
    if (toEnter) depths.push({ entry, before: count });
    return toEnter;
  };
  for await (const step of walkTree(reader, top, { enter, ahead, signal })) {
    if (step.step === 'entry') {
      const state = await stateOf(reader, step.entry, touched, signal);
      if (state === undefined) continue;
      count++;
      if (state !== 'out of reach') yield { path: step.path, state };
    } else if (step.step === 'broken') {
      // The page itself is among the touched, or cannot be read for another reason: either way, nothing above it is clean.
      count++;
      // Of a snapshot that is damaged already it is no news.
      if (!touched.has(toHex(step.page)) && isDamage(step.error) && !snapshot.damaged)
        yield { path: step.path, state: 'damaged' };
    } else if (step.step === 'leave') {
      const { entry, before } = depths.pop()!;
      if (count === before) for (const page of entry.pages ?? []) clean.add(toHex(page));
    }
  }
}

/** The worst of the pages, lists and content chunks of the entry itself. */
async function stateOf(
  reader: TreeReader,
  entry: Entry,
  touched: Touched,
  signal: AbortSignal | undefined,
): Promise<ScrubbedFile['state'] | 'out of reach' | undefined> {
  let worst: ScrubbedFile['state'] | undefined;
  const look = (ids: readonly { readonly id: ChunkId }[]): void => {
    for (const { id } of ids) {
      const state = touched.get(toHex(id));
      if (state === 'lost' || worst === undefined) worst = state ?? worst;
    }
  };
  look((entry.pages ?? []).map((id) => ({ id })));
  if (entry.content?.form === 'lists') look(entry.content.lists);
  // What a lost list names cannot be read.
  if (worst !== undefined) return worst;
  try {
    for await (const refs of reader.refs(entry, signal)) look(refs);
  } catch (error) {
    signal?.throwIfAborted();
    if (!isEdgeError(error)) throw error;
    return isDamage(error) ? 'damaged' : 'out of reach';
  }
  return worst;
}

/** Otherwise its source could not be asked, which says nothing about it. */
function isDamage(error: unknown): boolean {
  return isEdgeError(error, 'E_INTEGRITY', 'E_FORMAT');
}
