/** Names the content chunks in a list chunk of an earlier snapshot, so that the main thread can check that they are still stored. */
import { ChunkKind } from '../../core/ids.ts';
import { decodeList } from '../../tree/content-list.ts';
import type { Task } from '../task.ts';

export interface ListChunksTask {
  readonly input: { readonly id: Uint8Array; readonly keyId: number; readonly sealed: Uint8Array };
  /** Ids of 32 bytes, joined. Throws when the list does not verify. */
  readonly output: { readonly ids: Uint8Array<ArrayBuffer> };
}

export const task: Task<ListChunksTask['input'], ListChunksTask['output']> = async ({ id, keyId, sealed }, context) => {
  const refs = decodeList((await context.opener()).open(ChunkKind.list, id, keyId, sealed));
  const ids = new Uint8Array(refs.length * 32);
  for (const [i, ref] of refs.entries()) ids.set(ref.id, i * 32);
  return { output: { ids }, transfer: [ids.buffer] };
};
