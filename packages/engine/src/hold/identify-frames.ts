import type { Opener } from '../codec/open.ts';
import { opensToItsId } from '../codec/opens-to-its-id.ts';
import type { IdentifyFrames } from '../core/ports/identify-frames.ts';

/** Identifies in the calling thread; a service uses `identifyInWorkers`. */
export function identifyWith(opener: Opener): IdentifyFrames {
  return async (frames) => frames.map((frame) => opensToItsId(opener, frame));
}
