/** Seals chunks that another worker read: how one large file uses all workers. */
import type { ChunkGroup } from '../large-files.ts';
import { chunksOfGroup } from '../large-files.ts';
import { buffersOf, type SealedChunks, sealChunks } from '../seal-chunks.ts';
import type { Task } from '../task.ts';

export interface SealGroupTask {
  readonly input: {
    readonly group: ChunkGroup;
    /** 1 for each chunk of the group that is to be sealed. */
    readonly needed: Uint8Array;
    /** Shared memory for the sealed chunks; not used when it is too small for them. */
    readonly into?: SharedArrayBuffer;
  };
  readonly output: SealedChunks;
}

export const task: Task<SealGroupTask['input'], SealGroupTask['output']> = async ({ group, needed, into }, context) => {
  const sealed = sealChunks(await context.sealer(), chunksOfGroup(group), needed, context.config.level, into);
  return { output: sealed, transfer: buffersOf(sealed) };
};
