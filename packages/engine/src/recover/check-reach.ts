/** Looks whether the sources have everything that snapshots reach, without reading any file's content. */
import { openTreeReader } from '../browse/tree-reader.ts';
import { walkTree } from '../browse/walk-tree.ts';
import type { Opener } from '../codec/open.ts';
import { ChunkIdSet } from '../core/chunk-id-set.ts';
import { isEdgeError, toEdgeError } from '../core/errors.ts';
import type { ChunkId } from '../core/ids.ts';
import type { RecoverySource } from '../core/ports/peer.ts';
import type { ReportProgress, ReportWarning } from '../core/ports/progress.ts';
import type { ContentRef, Entry } from '../tree/entry.ts';
import type { RecoveredSnapshot, RecoverGap } from './recover-types.ts';

export interface CheckReachDeps {
  readonly sources: readonly RecoverySource[];
  readonly opener: Opener;
  readonly warn: ReportWarning;
  readonly progress?: ReportProgress;
}

/** Chunk ids asked for at a time. */
const ASK_AT_ONCE = 4096;

/**
 * Memory does not grow with the chunks, only with the pages, 45 bytes each: each page is looked at once, and a source is asked for the chunks of a few
 * files at a time. Newest snapshots first; a page that was looked at under a newer snapshot is not looked at again, so a gap is named once, with the newest snapshot
 * that has it.
 */
export async function checkReach(
  snapshots: readonly RecoveredSnapshot[],
  deps: CheckReachDeps,
  signal?: AbortSignal,
): Promise<RecoverGap[]> {
  const reader = openTreeReader({ ...deps, sources: deps.sources.map(({ source }) => source) });
  const pagesSeen = new ChunkIdSet();
  const gaps: RecoverGap[] = [];

  /** 1 where some source has the chunk. */
  async function look(ids: readonly ChunkId[]): Promise<Uint8Array> {
    const here = new Uint8Array(ids.length);
    let open = ids.map((id, at) => ({ id, at }));
    for (const source of deps.sources) {
      if (open.length === 0) break;
      try {
        const found = await source.has(
          open.map(({ id }) => id),
          signal,
        );
        for (const [i, { at }] of open.entries()) if (found[i] === 1) here[at] = 1;
        open = open.filter(({ at }) => here[at] === 0);
      } catch (error) {
        signal?.throwIfAborted();
        deps.warn({
          code: 'source-failed',
          message: `${source.label} could not be asked: ${toEdgeError(error).message}`,
        });
      }
    }
    return here;
  }

  for (const [i, { id, body }] of [...snapshots].reverse().entries()) {
    signal?.throwIfAborted();
    deps.progress?.({ phase: 'check', filesDone: i, filesTotal: snapshots.length, detail: body.root });
    const gap = { files: 0, filesTotal: 0, bytes: 0, broken: 0 };
    const pagesHere: ChunkId[] = [];
    let waiting: (readonly ContentRef[])[] = [];
    let waitingIds = 0;
    const settle = async (): Promise<void> => {
      const here = await look(waiting.flatMap((refs) => refs.map((ref) => ref.id)));
      let at = 0;
      for (const refs of waiting) {
        const lost = refs.filter((_, i) => here[at + i] === 0);
        at += refs.length;
        if (lost.length > 0) gap.files += 1;
        gap.bytes += lost.reduce((sum, ref) => sum + ref.length, 0);
      }
      waiting = [];
      waitingIds = 0;
    };
    const takeFile = async (file: Entry): Promise<void> => {
      gap.filesTotal += 1;
      const all: ContentRef[] = [];
      try {
        for await (const refs of reader.refs(file, signal)) all.push(...refs);
      } catch (error) {
        // A list that cannot be read is a gap like a chunk that is not there; the sources have said why.
        signal?.throwIfAborted();
        if (!isEdgeError(error)) throw error;
        gap.files += 1;
        gap.bytes += file.size ?? 0;
        return;
      }
      waiting.push(all);
      waitingIds += all.length;
      if (waitingIds >= ASK_AT_ONCE) await settle();
    };
    if (body.entry.type === 'file') await takeFile(body.entry);
    for (const page of body.entry.pages ?? []) pagesHere.push(page);
    const steps = walkTree(reader, body.entry, {
      signal,
      usePage: (page) => !pagesSeen.has(page),
    });
    for await (const step of steps) {
      if (step.step === 'broken') gap.broken += 1;
      else if (step.step === 'entry') {
        for (const page of step.entry.pages ?? []) pagesHere.push(page);
        if (step.entry.type === 'file') await takeFile(step.entry);
      }
    }
    await settle();
    for (const page of pagesHere) pagesSeen.add(page);
    if (gap.files > 0 || gap.broken > 0) gaps.push({ snapshot: id, root: body.root, ...gap });
  }
  return gaps;
}
