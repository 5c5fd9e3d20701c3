/** Reads a batch of small files and names their chunks, which stay here until `ingestSeal` asks for those that are needed. */
import { type BatchChunks, ChunkBatches, type PlainChunk } from '../chunk-batch.ts';
import type { FileOutcome } from '../file-outcome.ts';
import type { FilesToRead } from '../files-ahead.ts';
import { FolderStateWriter } from '../folder-state.ts';
import { readFiles } from '../read-files.ts';
import type { Task } from '../task.ts';

export interface IngestReadTask {
  readonly input: {
    /** A number that no other batch of the run has. */
    readonly batch: number;
    readonly base: Uint8Array;
    readonly files: FilesToRead;
    readonly captureSeconds: number;
  };
  readonly output: {
    /** For each file the offset of its record in `records`; 0 where it was not simply read. */
    readonly at: Uint32Array<ArrayBuffer>;
    /** What became of those, by their number. */
    readonly exceptions: readonly { readonly file: number; readonly outcome: FileOutcome }[];
    /** The records of files that were read. */
    readonly records: Uint8Array<ArrayBuffer>;
    readonly chunks: BatchChunks;
  };
}

const records = new FolderStateWriter();

export const task: Task<IngestReadTask['input'], IngestReadTask['output']> = async (input, context) => {
  const tools = {
    chunker: await context.chunker(),
    identify: await context.identify(),
    batches: ChunkBatches.of(context),
    captureSeconds: input.captureSeconds,
  };
  const chunks: PlainChunk[] = [];
  records.start();
  const outcomes = readFiles(input.base, input.files, tools, chunks, records);
  const kept = tools.batches.keep(input.batch, chunks);
  const taken = records.take();
  const at = new Uint32Array(outcomes.length);
  const exceptions: { file: number; outcome: FileOutcome }[] = [];
  for (const [file, outcome] of outcomes.entries()) {
    if (outcome.kind === 'read' && !outcome.changedWhileRead) at[file] = outcome.at;
    else exceptions.push({ file, outcome });
  }
  return {
    output: { at, exceptions, records: taken, chunks: kept },
    transfer: [at.buffer, taken.buffer, kept.ids.buffer, kept.lengths.buffer],
  };
};
