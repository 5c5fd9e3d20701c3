/** Reads one large file step by step: open, read until the last segment, then end. Its state stays on this worker between the steps. */
import { EdgeError, errnoOf } from '../../core/errors.ts';
import { type BatchChunks, ChunkBatches } from '../chunk-batch.ts';
import { type FileOutcome, REPLACED } from '../file-outcome.ts';
import {
  type ChunkGroup,
  closeLargeFile,
  describeLargeFile,
  isSteady,
  type LargeFile,
  openLargeFile,
  readSegment,
} from '../large-files.ts';
import type { FileToRead } from '../read-files.ts';
import type { Task } from '../task.ts';
import type { WorkerContext } from '../worker-context.ts';

export interface IngestLargeTask {
  readonly input:
    | {
        readonly step: 'open';
        /** A number that no other file of the run has. */
        readonly handle: number;
        readonly base: Uint8Array;
        readonly folder: Uint8Array;
        readonly file: FileToRead;
      }
    /** `free`: memory of earlier groups, to be used again. */
    | { readonly step: 'read'; readonly handle: number; readonly free: readonly SharedArrayBuffer[] }
    /** `batch`: the number under which the file's lists of chunks are kept for `ingestSeal`. Absent: the file is only closed. */
    | { readonly step: 'end'; readonly handle: number; readonly batch?: number; readonly captureSeconds: number };
  readonly output: {
    /** Only when the step went wrong; the file is then closed. */
    readonly failure?: FileOutcome;
    /** After `open`: bytes that will be read. */
    readonly bytes?: number;
    /** After `read`. */
    readonly groups?: readonly ChunkGroup[];
    /** After the last `read`: whether the file is as it was when it was opened. */
    readonly last?: { readonly isSteady: boolean };
    /** After `end`: a record (see `FolderState`) and the lists. */
    readonly record?: Uint8Array<ArrayBuffer>;
    readonly lists?: BatchChunks;
    readonly changedWhileRead?: boolean;
  };
}

export const task: Task<IngestLargeTask['input'], IngestLargeTask['output']> = async (input, context) => {
  const files = openFiles(context);
  try {
    if (input.step === 'open') {
      const large = openLargeFile(input.base, input.folder, input.file);
      files.set(input.handle, large);
      return { output: { bytes: large.found.size - large.holes.reduce((sum, hole) => sum + hole.length, 0) } };
    }
    const large = files.get(input.handle);
    if (large === undefined) throw new EdgeError('E_FAILED', `file ${input.handle} is not open on this worker`);
    const tools = {
      chunker: await context.chunker(),
      identify: await context.identify(),
      batches: ChunkBatches.of(context),
      captureSeconds: input.step === 'end' ? input.captureSeconds : 0,
    };
    if (input.step === 'read') {
      const { groups, isLast } = readSegment(large, tools, [...input.free]);
      const transfer = groups.flatMap((group) => [group.ids.buffer, group.lengths.buffer]);
      return { output: isLast ? { groups, last: { isSteady: isSteady(large) } } : { groups }, transfer };
    }
    if (input.batch === undefined) {
      close(files, input.handle);
      return { output: {} };
    }
    const steady = isSteady(large);
    const { record, lists } = describeLargeFile(large, tools);
    const kept = tools.batches.keep(input.batch, lists);
    close(files, input.handle);
    return {
      output: { record, lists: kept, changedWhileRead: !steady },
      transfer: [record.buffer, kept.ids.buffer, kept.lengths.buffer],
    };
  } catch (error) {
    close(files, input.handle);
    return { output: { failure: outcomeOf(error) } };
  }
};

function close(files: Map<number, LargeFile>, handle: number): void {
  const large = files.get(handle);
  files.delete(handle);
  if (large !== undefined) closeLargeFile(large);
}

function openFiles(context: WorkerContext): Map<number, LargeFile> {
  let files = context.kept.get('large-files') as Map<number, LargeFile> | undefined;
  if (files === undefined) {
    files = new Map();
    context.kept.set('large-files', files);
  }
  return files;
}

function outcomeOf(error: unknown): FileOutcome {
  const code = errnoOf(error) ?? (error as { code?: string }).code;
  if (code === undefined || error instanceof EdgeError) throw error;
  if (code === 'ENOENT') return { kind: 'gone' };
  if (code === 'ELOOP' || code === 'ENOTDIR') return { kind: 'failed', ...REPLACED };
  return { kind: 'failed', code, message: (error as Error).message };
}
