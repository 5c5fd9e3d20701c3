import { isEdgeError } from '../core/errors.ts';
import { type ChunkId, ChunkKind, type PackClass } from '../core/ids.ts';
import type { Opener } from './open.ts';

/** A sealed chunk as a store sees it: its class, not its kind. */
export interface ClassedChunk {
  readonly id: ChunkId;
  readonly packClass: PackClass;
  readonly keyId: number;
  readonly sealed: Uint8Array;
}

/** Whether a sealed chunk opens, and to the plaintext that its id names. Of the meta class both kinds are tried. */
export function opensToItsId(opener: Opener, chunk: ClassedChunk): boolean {
  const kinds = chunk.packClass === 'data' ? [ChunkKind.data] : [ChunkKind.tree, ChunkKind.list];
  return kinds.some((kind) => opens(opener, kind, chunk));
}

function opens(opener: Opener, kind: ChunkKind, { id, keyId, sealed }: ClassedChunk): boolean {
  try {
    opener.open(kind, id, keyId, sealed);
    return true;
  } catch (error) {
    if (isEdgeError(error, 'E_INTEGRITY', 'E_NEWER_FORMAT')) return false;
    throw error;
  }
}
