import type { OutgoingFrame } from './peer.ts';

/** Opens each frame and says whether it is what its id names; positions match. */
export type IdentifyFrames = (frames: readonly OutgoingFrame[]) => Promise<boolean[]>;
