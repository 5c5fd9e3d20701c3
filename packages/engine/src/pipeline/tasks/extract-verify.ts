/** Which pieces of a large file that an earlier run left are already right, by reading them back. */
import { closeFd, openForReading } from '../../files/open-file.ts';
import { wasRead } from '../../files/read-file.ts';
import type { ContentRef } from '../../tree/entry.ts';
import type { Task } from '../task.ts';
import type { Segment } from './extract-batch.ts';
import { chunkIsThere } from './extract-check.ts';
import { folderCacheOf } from './extract-folder-cache.ts';

export interface ExtractVerifyTask {
  readonly input: {
    readonly root: Uint8Array;
    readonly folder: Uint8Array;
    readonly name: Uint8Array;
    readonly pieces: readonly { readonly ref: ContentRef; readonly segments: readonly Segment[] }[];
  };
  /** 1 for each piece that is right. */
  readonly output: { readonly right: Uint8Array };
}

export const task: Task<ExtractVerifyTask['input'], ExtractVerifyTask['output']> = async (input, context) => {
  const identify = await context.identify();
  const fd = openForReading(folderCacheOf(context, input.root).folder(input.folder), input.name);
  try {
    // After a write that failed, the kernel's memory may hold what the disk does not.
    wasRead(fd, 0, 0);
    return {
      output: {
        right: Uint8Array.from(input.pieces, ({ ref, segments }) => Number(chunkIsThere(fd, ref, segments, identify))),
      },
    };
  } finally {
    closeFd(fd);
  }
};
