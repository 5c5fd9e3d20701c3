/** Whether what an earlier snapshot has of something that cannot be read now is still stored: then it stands for it. */
import { isEdgeError } from '../core/errors.ts';
import { FolderStateReader, TYPE_CODES } from '../pipeline/folder-state.ts';
import { decodeEntry } from '../tree/decode-entry.ts';
import type { CaptureDeps } from './capture-types.ts';

export interface StoredContentDeps extends Pick<CaptureDeps, 'chunks' | 'pool'> {
  /** Whether all these chunks (ids of 32 bytes, joined) are stored; claims them. */
  readonly allStored: (ids: Uint8Array) => boolean;
}

/** Of one encoded entry: its content, and the lists that name it. */
export async function entryStored(encoded: Uint8Array, deps: StoredContentDeps): Promise<boolean> {
  const { content } = decodeEntry(encoded);
  if (content === undefined) return true;
  if (content.form === 'inline') return deps.allStored(Buffer.concat(content.refs.map((ref) => ref.id)));
  if (!deps.allStored(Buffer.concat(content.lists.map((list) => list.id)))) return false;
  for (const { id } of content.lists) {
    const ids = await chunksInList(id, deps);
    if (ids === undefined || !deps.allStored(ids)) return false;
  }
  return true;
}

/** Of all files in a remembered row, and of its pages. */
export async function rowStored(row: Uint8Array, deps: StoredContentDeps): Promise<boolean> {
  const state = FolderStateReader.open(row);
  if (state === undefined || !deps.allStored(Buffer.concat(state.pageIds()))) return false;
  while (state.next()) {
    if (state.record.type === TYPE_CODES.file && !(await entryStored(new Uint8Array(state.encoded()), deps)))
      return false;
  }
  return true;
}

/** Undefined when the list cannot be read: then nobody knows what it names. */
async function chunksInList(id: Uint8Array, { chunks, pool }: StoredContentDeps): Promise<Uint8Array | undefined> {
  const [address] = await chunks.locate([id]);
  if (address === undefined) return undefined;
  for await (const frame of chunks.fetch([address])) {
    if (!('sealed' in frame)) return undefined;
    try {
      const sealed = new Uint8Array(frame.sealed);
      return (await pool.run('listChunks', { id, keyId: frame.address.keyId, sealed })).ids;
    } catch (error) {
      if (!isEdgeError(error, 'E_INTEGRITY', 'E_FORMAT')) throw error;
      return undefined;
    }
  }
  return undefined;
}
