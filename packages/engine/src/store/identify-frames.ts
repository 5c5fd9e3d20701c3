import type { Opener } from '../codec/open.ts';
import { isEdgeError } from '../core/errors.ts';
import { ChunkKind } from '../core/ids.ts';
import type { OutgoingFrame } from '../core/ports/peer.ts';

/** Opens each frame and says whether it is what its id names; positions match. */
export type IdentifyFrames = (frames: readonly OutgoingFrame[]) => Promise<boolean[]>;

/** Identifies in the calling thread. A store sees only the class of a chunk, so both kinds of the meta class are tried. */
export function identifyWith(opener: Opener): IdentifyFrames {
  return async (frames) => frames.map((frame) => kindsOf(frame).some((kind) => opens(opener, kind, frame)));
}

function kindsOf(frame: OutgoingFrame): readonly ChunkKind[] {
  return frame.packClass === 'data' ? [ChunkKind.data] : [ChunkKind.tree, ChunkKind.list];
}

function opens(opener: Opener, kind: ChunkKind, frame: OutgoingFrame): boolean {
  try {
    opener.open(kind, frame.id, frame.keyId, frame.sealed);
    return true;
  } catch (error) {
    if (isEdgeError(error, 'E_INTEGRITY', 'E_NEWER_FORMAT')) return false;
    throw error;
  }
}
