/** Writes the small files of a window: each whole, by one worker, in batches that follow the packs. */
import { Wanted } from '../browse/copy-router.ts';
import { toHex } from '../core/ids.ts';
import { type ExtractFile, extractMetaOf } from '../pipeline/tasks/extract-batch.ts';
import { BATCH_BYTES, sendBatch, workerReads } from './chunk-batch.ts';
import type { RestoreRun } from './restore-run.ts';
import type { WindowItem } from './windows.ts';

const BATCH_FILES_MAX = 1024;

interface SmallFile {
  readonly item: WindowItem;
  readonly wanted: readonly Wanted[];
  readonly lengths: readonly number[];
  readonly bytes: number;
}

/** Settles every item: written, or in the failures. Throws only what ends the restore. */
export async function writeSmallFiles(run: RestoreRun, items: readonly WindowItem[]): Promise<void> {
  let files = items.map(toSmallFile);
  while (files.length > 0) {
    const undecided = files.flatMap((file) => file.wanted.filter((one) => one.copy === undefined));
    if (undecided.length > 0) await run.reader.chunks.router.choose(undecided, run.signal);
    const readable = files.filter((file) => hasCopies(run, file));
    const again = await Promise.all(cutBatches(readable).map((batch) => writeBatch(run, batch)));
    files = again.flat();
  }
}

/** Equal chunks of one file share their state; across files each has its own, so that a retry concerns one file. */
function toSmallFile(item: WindowItem): SmallFile {
  const content = item.entry.content;
  const refs = content?.form === 'inline' ? content.refs : [];
  const lengths = refs.map((ref) => ref.length);
  const bytes = lengths.reduce((sum, length) => sum + length, 0);
  if (refs.length === 1) return { item, wanted: [new Wanted(refs[0]!.id)], lengths, bytes };
  const byHex = new Map<string, Wanted>();
  const wanted = refs.map((ref) => {
    const hex = toHex(ref.id);
    const one = byHex.get(hex) ?? new Wanted(ref.id);
    byHex.set(hex, one);
    return one;
  });
  return { item, wanted, lengths, bytes };
}

function hasCopies(run: RestoreRun, file: SmallFile): boolean {
  const lost = file.wanted.find((one) => one.copy === undefined);
  if (lost !== undefined) run.failItem(file.item, run.reader.chunks.router.explain(lost));
  return lost === undefined;
}

/** Files that lie together in a pack are read together; what is fetched from elsewhere keeps to batches of its own. */
function cutBatches(files: readonly SmallFile[]): SmallFile[][] {
  const keyed = files.map((file) => ({ file, place: placeOf(file) }));
  keyed.sort((a, b) => comparePlaces(a.place, b.place));
  const batches: SmallFile[][] = [];
  let bytes = 0;
  let lastLocal: boolean | undefined;
  for (const { file, place } of keyed) {
    const batch = batches.at(-1);
    const full = batch === undefined || bytes + file.bytes > BATCH_BYTES || batch.length >= BATCH_FILES_MAX;
    if (full || place.local !== lastLocal) {
      batches.push([file]);
      bytes = 0;
    } else {
      batch.push(file);
    }
    bytes += file.bytes;
    lastLocal = place.local;
  }
  return batches;
}

interface Place {
  readonly local: boolean;
  readonly pack: string;
  readonly offset: number;
}

function placeOf(file: SmallFile): Place {
  const address = file.wanted[0]?.copy?.address;
  const local = file.wanted.every((one) => workerReads(one.copy!));
  return { local, pack: address?.pack ?? '', offset: address?.offset ?? 0 };
}

/** Sorting is stable: what has no place of its own (a peer's chunks) keeps the order of the walk. */
function comparePlaces(a: Place, b: Place): number {
  if (a.local !== b.local) return a.local ? -1 : 1;
  if (a.pack !== b.pack) return a.pack < b.pack ? -1 : 1;
  return a.offset - b.offset;
}

/** Returns the files that wait for another copy of a chunk. */
async function writeBatch(run: RestoreRun, files: readonly SmallFile[]): Promise<SmallFile[]> {
  let sent: SmallFile[] = [];
  const output = await sendBatch(run, {
    wanted: files.flatMap((file) => file.wanted),
    describe(chunkOf) {
      sent = files.filter((file) => hasCopies(run, file));
      const folders = new Map<Uint8Array, number>();
      const rows = sent.map((file): ExtractFile => {
        const { folder, name, entry } = file.item;
        // The windows give all entries of one folder the same array.
        const folderNumber = folders.get(folder) ?? folders.size;
        folders.set(folder, folderNumber);
        const refs = file.wanted.map((one, i) => ({ chunk: chunkOf(one)!, length: file.lengths[i]! }));
        return { folder: folderNumber, name, ...extractMetaOf(entry), refs };
      });
      return { folders: [...folders.keys()], files: rows, pieces: [] };
    },
  });
  const unfinished = new Set(output.filesAgain);
  for (const failure of output.files) {
    unfinished.add(failure.index);
    run.failItem(sent[failure.index]!.item, failure);
  }
  for (const failure of output.meta) run.failItem(sent[failure.index]!.item, failure, false);
  for (const [index, file] of sent.entries()) {
    if (unfinished.has(index)) continue;
    run.counts.restored++;
    run.counts.written += file.bytes;
    for (const [i, one] of file.wanted.entries()) run.counts.from[one.copy!.source.kind] += file.lengths[i]!;
  }
  run.reportProgress();
  return output.filesAgain.map((index) => sent[index]!);
}
