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

/** Whether a sealed chunk opens, and to the plaintext that its id names. */
export function opensToItsId(opener: Opener, chunk: ClassedChunk): boolean {
  return openClassed(opener, chunk) !== undefined;
}

/** The plaintext that the id names; undefined when the chunk does not open to it. Of the meta class both kinds are tried. */
export function openClassed(opener: Opener, { id, packClass, keyId, sealed }: ClassedChunk): Uint8Array | undefined {
  const kinds = packClass === 'data' ? [ChunkKind.data] : [ChunkKind.tree, ChunkKind.list];
  for (const kind of kinds) {
    try {
      return opener.open(kind, id, keyId, sealed);
    } catch (error) {
      if (!isEdgeError(error, 'E_INTEGRITY', 'E_NEWER_FORMAT')) throw error;
    }
  }
  return undefined;
}
