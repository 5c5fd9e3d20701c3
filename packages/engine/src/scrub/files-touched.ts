/** Which files of live snapshots need damaged chunks. Trees are read only when there is damage. */
import type { TreeReader } from '../browse/tree-reader.ts';
import { walkTree } from '../browse/walk-tree.ts';
import { isEdgeError } from '../core/errors.ts';
import { toHex } from '../core/ids.ts';
import type { SnapshotRow } from '../core/ports/index.ts';
import type { Entry } from '../tree/entry.ts';
import type { ScrubbedFile, ScrubDeps, ScrubFinding } from './scrub-types.ts';

/** Files named in a report; beyond, they are counted. */
const FILES_LISTED_MAX = 1000;

/** Newest snapshots first. Only chunks without another good copy in this agent's stores count. */
export async function filesTouched(
  findings: readonly ScrubFinding[],
  deps: Pick<ScrubDeps, 'log' | 'reader' | 'signal' | 'warn'>,
): Promise<{ readonly files: ScrubbedFile[]; readonly omitted: number }> {
  const lost = new Set(
    findings
      .filter(({ chunk, otherCopies }) => chunk !== undefined && otherCopies === 0)
      .map(({ chunk }) => toHex(chunk!)),
  );
  const files: ScrubbedFile[] = [];
  let omitted = 0;
  if (lost.size === 0) return { files, omitted };
  // Pages below which nothing is touched; snapshots share most of them.
  const clean = new Set<string>();
  for (const snapshot of deps.log.snapshots().toReversed()) {
    for await (const path of touchedIn(deps.reader, snapshot, lost, clean, deps.signal)) {
      if (files.length < FILES_LISTED_MAX) files.push({ snapshot: snapshot.id, root: snapshot.body.root, path });
      else omitted++;
    }
  }
  return { files, omitted };
}

async function* touchedIn(
  reader: TreeReader,
  snapshot: SnapshotRow,
  lost: ReadonlySet<string>,
  clean: Set<string>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  const top = snapshot.body.entry;
  if (await isTouched(reader, top, lost, signal)) yield new Uint8Array(0);
  if (top.type !== 'dir') return;
  // How many touched entries were seen when each folder on the way down was entered.
  const depths: { readonly entry: Entry; readonly before: number }[] = [];
  let touched = 0;
  const isClean = (entry: Entry) => (entry.pages ?? []).every((page) => clean.has(toHex(page)));
  const ahead = (_path: Uint8Array, entry: Entry) => !isClean(entry);
  const enter = (_path: Uint8Array, entry: Entry) => {
    const toEnter = !isClean(entry);
    if (toEnter) depths.push({ entry, before: touched });
    return toEnter;
  };
  for await (const step of walkTree(reader, top, { enter, ahead, signal })) {
    if (step.step === 'entry' && (await isTouched(reader, step.entry, lost, signal))) {
      touched++;
      yield step.path;
    } else if (step.step === 'broken') {
      // The page itself is among the lost, or cannot be read for another reason: either way, nothing above it is clean.
      touched++;
      if (!lost.has(toHex(step.page))) yield step.path;
    } else if (step.step === 'leave') {
      const { entry, before } = depths.pop()!;
      if (touched === before) for (const page of entry.pages ?? []) clean.add(toHex(page));
    }
  }
}

/** Whether a page, list or content chunk of the entry itself is lost. */
async function isTouched(
  reader: TreeReader,
  entry: Entry,
  lost: ReadonlySet<string>,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  if ((entry.pages ?? []).some((page) => lost.has(toHex(page)))) return true;
  if (entry.content?.form === 'lists' && entry.content.lists.some((list) => lost.has(toHex(list.id)))) return true;
  try {
    for await (const refs of reader.refs(entry, signal)) if (refs.some((ref) => lost.has(toHex(ref.id)))) return true;
  } catch (error) {
    signal?.throwIfAborted();
    if (!isEdgeError(error)) throw error;
    return true;
  }
  return false;
}
