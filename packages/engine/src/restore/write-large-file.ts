/** Writes one large file in pieces, by all workers at once: created at its full length, its metadata after the last piece. */
import { Wanted } from '../browse/copy-router.ts';
import { EdgeError, isEdgeError, toEdgeError } from '../core/errors.ts';
import type { SourceKind } from '../core/ports/sealed-source.ts';
import type { Segment } from '../pipeline/tasks/extract-batch.ts';
import type { ExtractLargeTask } from '../pipeline/tasks/extract-large.ts';
import { createContentLayout } from '../pipeline/tasks/extract-layout.ts';
import type { ContentRef, Entry } from '../tree/entry.ts';
import { BATCH_BYTES, sendBatch } from './chunk-batch.ts';
import type { RestoreRun } from './restore-run.ts';
import type { WindowItem } from './windows.ts';

interface Piece {
  readonly ref: ContentRef;
  readonly segments: readonly Segment[];
  readonly wanted: Wanted;
}

/** Pieces described at once: bounds what one list chunk of a huge file puts into memory and into one lookup. */
const PIECES_AT_ONCE = 1024;
/** Pieces read back in one task when a stopped run left the file. */
const VERIFY_PIECES = 32;

/** `looksDone`: size and time are right already, so when all of its content is too, nothing is written. */
export async function writeLargeFile(run: RestoreRun, item: WindowItem, looksDone: boolean): Promise<void> {
  const { folder, entry } = item;
  const collision = run.collision();
  const name = collision.how === 'rename' ? Buffer.from(`${collision.prefix}0`) : item.name;
  if (looksDone && (await isWhole(run, item))) {
    run.counts.skipped++;
    return;
  }
  const created = await step(run, folder, name, {
    do: 'create',
    size: entry.size ?? 0,
    keep: run.resume && collision.how !== 'rename',
    replace: collision.how !== 'fail',
  });
  if (created.failure !== undefined) return fail(run, item, created.failure);
  const tally: Tally = { bytes: 0, from: { local: 0, peers: 0, s3: 0 } };
  try {
    for await (const pieces of cutPieces(run, entry)) {
      const left = created.kept ? await wrongPieces(run, folder, name, pieces) : pieces;
      await writePieces(run, folder, name, left, tally);
    }
  } catch (error) {
    run.stop.check();
    if (!isEdgeError(error)) throw error;
    for (const kind of ['local', 'peers', 's3'] as const) count(run, tally, kind, -tally.from[kind]);
    // Nothing half-written stays under the file's name.
    const discarded = await step(run, folder, name, { do: 'discard' });
    fail(run, item, error);
    if (discarded.failure !== undefined) fail(run, item, discarded.failure, false);
    return;
  }
  const { mode, uid, gid, xattrs } = entry.posix;
  const meta = { mode, uid, gid, xattrs, mtimeNs: entry.mtimeNs };
  const finished = await step(run, folder, name, { do: 'finish', meta, finalName: item.name });
  if (finished.failure !== undefined) return fail(run, item, finished.failure);
  for (const problem of finished.meta) fail(run, item, problem, false);
  if (finished.ownerKept) run.counts.ownersKept++;
  run.counts.restored++;
  run.reportProgress();
}

/** Bytes of one file: they count while they are written, for progress, and no more when the file is given up. */
interface Tally {
  bytes: number;
  readonly from: Record<SourceKind, number>;
}

function count(run: RestoreRun, tally: Tally, kind: SourceKind, bytes: number): void {
  tally.bytes += bytes;
  tally.from[kind] += bytes;
  run.counts.written += bytes;
  run.counts.from[kind] += bytes;
}

function fail(run: RestoreRun, item: WindowItem, failure: Pick<EdgeError, 'code' | 'message'>, counts = true): void {
  if (isEdgeError(failure, 'E_NO_SPACE') || failure.code === 'E_NO_SPACE') run.stop.stop(failure);
  run.stop.check();
  run.failItem(item, failure, counts);
}

function step(
  run: RestoreRun,
  folder: Uint8Array,
  name: Uint8Array,
  what: ExtractLargeTask['input']['step'],
): Promise<ExtractLargeTask['output']> {
  return run.tasks.run(() => run.pool.run('extractLarge', { root: run.root, folder, name, step: what }));
}

/** A file's pieces in order, some at a time. */
async function* cutPieces(run: RestoreRun, entry: Entry): AsyncGenerator<Piece[]> {
  const place = createContentLayout(entry.size ?? 0, entry.holes);
  for await (const refs of run.reader.refs(entry, run.signal)) {
    for (let at = 0; at < refs.length; at += PIECES_AT_ONCE) {
      yield refs
        .slice(at, at + PIECES_AT_ONCE)
        .map((ref) => ({ ref, segments: place(ref.length), wanted: new Wanted(ref.id) }));
    }
  }
}

/** The pieces that are not in the file yet. */
async function wrongPieces(
  run: RestoreRun,
  folder: Uint8Array,
  name: Uint8Array,
  pieces: readonly Piece[],
): Promise<Piece[]> {
  const groups: Piece[][] = [];
  for (let at = 0; at < pieces.length; at += VERIFY_PIECES) groups.push(pieces.slice(at, at + VERIFY_PIECES));
  const wrong = await Promise.all(
    groups.map(async (group) => {
      const described = group.map(({ ref, segments }) => ({ ref, segments }));
      const { right } = await run.tasks.run(() =>
        run.pool.run('extractVerify', { root: run.root, folder, name, pieces: described }),
      );
      return group.filter((_, i) => right[i] !== 1);
    }),
  );
  return wrong.flat();
}

async function isWhole(run: RestoreRun, item: WindowItem): Promise<boolean> {
  // A lost list chunk, or a file that cannot be read back, is found again by the writing that follows, and said there.
  try {
    for await (const pieces of cutPieces(run, item.entry)) {
      if ((await wrongPieces(run, item.folder, item.name, pieces)).length > 0) return false;
    }
    return true;
  } catch (error) {
    run.stop.check();
    if (!isEdgeError(error)) throw error;
    return false;
  }
}

async function writePieces(
  run: RestoreRun,
  folder: Uint8Array,
  name: Uint8Array,
  pieces: readonly Piece[],
  tally: Tally,
): Promise<void> {
  let left: readonly Piece[] = pieces;
  while (left.length > 0) {
    const undecided = left.map((piece) => piece.wanted).filter((one) => one.copy === undefined);
    if (undecided.length > 0) await run.reader.chunks.router.choose(undecided, run.signal);
    const settled = await Promise.allSettled(
      cutBatches(left).map((batch) => writeBatch(run, folder, name, batch, tally)),
    );
    const again: Piece[] = [];
    for (const result of settled) {
      if (result.status === 'rejected') throw toEdgeError(result.reason);
      again.push(...result.value);
    }
    left = again;
  }
}

function cutBatches(pieces: readonly Piece[]): Piece[][] {
  const batches: Piece[][] = [];
  let bytes = 0;
  for (const piece of pieces) {
    const batch = batches.at(-1);
    if (batch === undefined || bytes + piece.ref.length > BATCH_BYTES) {
      batches.push([piece]);
      bytes = 0;
    } else {
      batch.push(piece);
    }
    bytes += piece.ref.length;
  }
  return batches;
}

/** Returns the pieces that wait for another copy. Throws when one has none. */
async function writeBatch(
  run: RestoreRun,
  folder: Uint8Array,
  name: Uint8Array,
  pieces: readonly Piece[],
  tally: Tally,
): Promise<Piece[]> {
  const output = await sendBatch(run, {
    wanted: pieces.map((piece) => piece.wanted),
    describe: (chunkOf) => ({
      folders: [folder],
      files: [],
      pieces: pieces.map(({ ref, segments, wanted }) => {
        const chunk = chunkOf(wanted);
        if (chunk === undefined) throw run.reader.chunks.router.explain(wanted);
        return { folder: 0, name, chunk, length: ref.length, segments };
      }),
    }),
  });
  const failed = output.pieces[0];
  if (failed !== undefined) throw new EdgeError(failed.code, failed.message);
  const again = new Set(output.piecesAgain);
  for (const [i, { ref, wanted }] of pieces.entries()) {
    if (again.has(i)) continue;
    count(run, tally, wanted.copy!.source.kind, ref.length);
  }
  run.reportProgress();
  return output.piecesAgain.map((i) => pieces[i]!);
}
