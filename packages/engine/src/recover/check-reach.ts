/** Looks whether the sources have everything that snapshots reach, without reading any file's content. */
import { openTreeReader } from '../browse/tree-reader.ts';
import { walkTree } from '../browse/walk-tree.ts';
import type { Opener } from '../codec/open.ts';
import { asBuffer } from '../core/bytes.ts';
import { toEdgeError } from '../core/errors.ts';
import { type ChunkId, type HexId, toHex } from '../core/ids.ts';
import type { ReportProgress, ReportWarning } from '../core/ports/progress.ts';
import type { SealedSource } from '../core/ports/sealed-source.ts';
import type { ContentRef, Entry } from '../tree/entry.ts';
import type { RecoveredSnapshot, RecoverGap } from './recover-types.ts';

export interface CheckReachDeps {
  readonly sources: readonly SealedSource[];
  readonly opener: Opener;
  readonly warn: ReportWarning;
  readonly progress?: ReportProgress;
}

/** Chunk ids asked for at a time. */
const ASK_AT_ONCE = 4096;

/**
 * Newest snapshots first; a page that was looked at under a newer snapshot is not looked at again, so a gap is named once, with the newest snapshot
 * that has it.
 */
export async function checkReach(
  snapshots: readonly RecoveredSnapshot[],
  deps: CheckReachDeps,
  signal?: AbortSignal,
): Promise<RecoverGap[]> {
  const reader = openTreeReader(deps);
  const here = new Map<HexId, boolean>();
  const pagesSeen = new Set<string>();
  const gaps: RecoverGap[] = [];

  /** Fills `here` for these chunks. */
  async function look(ids: readonly ChunkId[]): Promise<void> {
    let open = ids.filter((id) => !here.has(toHex(id)));
    for (const source of deps.sources) {
      if (open.length === 0) return;
      let found: Awaited<ReturnType<SealedSource['locate']>>;
      try {
        found = await source.locate(open, signal);
      } catch (error) {
        signal?.throwIfAborted();
        deps.warn({
          code: 'source-failed',
          message: `${source.label} could not be asked: ${toEdgeError(error).message}`,
        });
        continue;
      }
      const left: ChunkId[] = [];
      for (const [i, id] of open.entries()) {
        if (found[i] === undefined) left.push(id);
        else here.set(toHex(id), true);
      }
      open = left;
    }
    for (const id of open) here.set(toHex(id), false);
  }

  for (const [i, { id, body }] of [...snapshots].reverse().entries()) {
    signal?.throwIfAborted();
    deps.progress?.({ phase: 'check', filesDone: i, filesTotal: snapshots.length, detail: body.root });
    const gap = { files: 0, filesTotal: 0, bytes: 0, broken: 0 };
    const pagesHere: string[] = [];
    let waiting: (readonly ContentRef[])[] = [];
    let waitingIds = 0;
    const settle = async (): Promise<void> => {
      await look(waiting.flatMap((refs) => refs.map((ref) => ref.id)));
      for (const refs of waiting) {
        const lost = refs.filter((ref) => here.get(toHex(ref.id)) === false);
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
      } catch {
        // A list that cannot be read is a gap like a chunk that is not there; the sources have said why.
        signal?.throwIfAborted();
        gap.files += 1;
        gap.bytes += file.size ?? 0;
        return;
      }
      waiting.push(all);
      waitingIds += all.length;
      if (waitingIds >= ASK_AT_ONCE) await settle();
    };
    if (body.entry.type === 'file') await takeFile(body.entry);
    for (const page of body.entry.pages ?? []) pagesHere.push(asBuffer(page).toString('latin1'));
    const steps = walkTree(reader, body.entry, {
      signal,
      usePage: (page) => !pagesSeen.has(asBuffer(page).toString('latin1')),
    });
    for await (const step of steps) {
      if (step.step === 'broken') gap.broken += 1;
      else if (step.step === 'entry') {
        for (const page of step.entry.pages ?? []) pagesHere.push(asBuffer(page).toString('latin1'));
        if (step.entry.type === 'file') await takeFile(step.entry);
      }
    }
    await settle();
    for (const page of pagesHere) pagesSeen.add(page);
    if (gap.files > 0 || gap.broken > 0) gaps.push({ snapshot: id, root: body.root, ...gap });
  }
  return gaps;
}
