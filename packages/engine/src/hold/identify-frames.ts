import type { Opener } from '../codec/open.ts';
import { opensToItsId } from '../codec/opens-to-its-id.ts';
import type { OutgoingFrame } from '../core/ports/peer.ts';

/** Opens each frame and says whether it is what its id names; positions match. */
export type IdentifyFrames = (frames: readonly OutgoingFrame[]) => Promise<boolean[]>;

/** Identifies in the calling thread; a service uses `identifyInWorkers`. */
export function identifyWith(opener: Opener): IdentifyFrames {
  return async (frames) => frames.map((frame) => opensToItsId(opener, frame));
}
