/** Turns the tree pages of an earlier snapshot's folder into a state that only tells what was there: nothing of it passes for unchanged. */
import { ChunkKind } from '../../core/ids.ts';
import { decodePage } from '../../tree/decode-page.ts';
import { encodeEntry } from '../../tree/encode-entry.ts';
import { FolderStateWriter, STAT_WORDS, StateFlag, TYPE_CODES } from '../folder-state.ts';
import type { Task } from '../task.ts';

export interface RecallStateTask {
  readonly input: {
    /** The folder's pages in order, sealed. */
    readonly pages: readonly { readonly id: Uint8Array; readonly keyId: number; readonly sealed: Uint8Array }[];
  };
  readonly output: { readonly row: Uint8Array<ArrayBuffer> };
}

const writer = new FolderStateWriter();
const noStat = new Uint32Array(STAT_WORDS);

export const task: Task<RecallStateTask['input'], RecallStateTask['output']> = async ({ pages }, context) => {
  const opener = await context.opener();
  writer.start(pages.map((page) => page.id));
  for (const { id, keyId, sealed } of pages) {
    for (const entry of decodePage(opener.open(ChunkKind.tree, id, keyId, sealed))) {
      writer.add(TYPE_CODES[entry.type], StateFlag.stale, noStat, 0, entry.name, encodeEntry(entry));
    }
  }
  const row = writer.take();
  return { output: { row }, transfer: [row.buffer] };
};
