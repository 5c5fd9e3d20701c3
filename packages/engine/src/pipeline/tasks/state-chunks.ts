/** Names the chunks that remembered folders rely on, so that the main thread can check that they are still stored. */
import { decodeEntry } from '../../tree/decode-entry.ts';
import { FolderStateReader, TYPE_CODES } from '../folder-state.ts';
import type { Task } from '../task.ts';

export interface StateChunksTask {
  readonly input: { readonly rows: readonly Uint8Array[] };
  readonly output: {
    /**
     * For each row: ids of its pages and of its files' chunks, one after the other (32 bytes each). Undefined when that cannot be told from the
     * row alone: it does not decode, or a file's chunks are named in list chunks.
     */
    readonly ids: readonly (Uint8Array<ArrayBuffer> | undefined)[];
  };
}

export const task: Task<StateChunksTask['input'], StateChunksTask['output']> = ({ rows }) => {
  const ids = rows.map(idsOf);
  return { output: { ids }, transfer: ids.flatMap((one) => (one === undefined ? [] : [one.buffer])) };
};

function idsOf(row: Uint8Array): Uint8Array<ArrayBuffer> | undefined {
  const reader = FolderStateReader.open(row);
  if (reader === undefined) return undefined;
  const ids: Uint8Array[] = reader.pageIds();
  while (reader.next()) {
    if (reader.record.type !== TYPE_CODES.file) continue;
    const { content } = decodeEntry(reader.encoded());
    if (content?.form === 'lists') return undefined;
    for (const ref of content?.refs ?? []) ids.push(ref.id);
  }
  return new Uint8Array(Buffer.concat(ids));
}
