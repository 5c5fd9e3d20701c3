/** Seals the needed chunks of a batch that this worker keeps, and lets the batch go. */
import { ChunkBatches } from '../chunk-batch.ts';
import { buffersOf, type SealedChunks, sealChunks } from '../seal-chunks.ts';
import type { Task } from '../task.ts';

export interface IngestSealTask {
  readonly input: {
    readonly batch: number;
    /** 1 for each chunk of the batch that is to be sealed. Absent: none, the batch is only let go. */
    readonly needed?: Uint8Array;
    /** Shared memory for the sealed chunks; not used when it is too small for them. */
    readonly into?: SharedArrayBuffer;
  };
  readonly output: SealedChunks | undefined;
}

export const task: Task<IngestSealTask['input'], IngestSealTask['output']> = async (
  { batch, needed, into },
  context,
) => {
  const batches = ChunkBatches.of(context);
  try {
    if (needed === undefined) return { output: undefined };
    const sealed = sealChunks(await context.sealer(), batches.chunksOf(batch), needed, context.config.level, into);
    return { output: sealed, transfer: buffersOf(sealed) };
  } finally {
    batches.release(batch);
  }
};
