/** Makes the tree pages and cache rows of folders that are complete. The pages stay here until `ingestSeal` asks for those that are needed. */
import { type BatchChunks, ChunkBatches, type PlainChunk } from '../chunk-batch.ts';
import { type FinishedFolder, type FolderToFinish, finishFolder } from '../finish-folder.ts';
import type { Task } from '../task.ts';

export interface FinishFoldersTask {
  readonly input: {
    readonly batch: number;
    readonly folders: readonly FolderToFinish[];
    /** The records that `read` of the folders points into. */
    readonly records: Uint8Array;
  };
  readonly output: { readonly folders: readonly FinishedFolder[]; readonly chunks: BatchChunks };
}

export const task: Task<FinishFoldersTask['input'], FinishFoldersTask['output']> = async (input, context) => {
  const identify = await context.identify();
  const chunks: PlainChunk[] = [];
  const folders = input.folders.map((folder) => finishFolder(folder, input.records, identify, chunks));
  const kept = ChunkBatches.of(context).keep(input.batch, chunks);
  return {
    output: { folders, chunks: kept },
    transfer: [...folders.map((folder) => folder.row.buffer), kept.ids.buffer, kept.lengths.buffer],
  };
};
