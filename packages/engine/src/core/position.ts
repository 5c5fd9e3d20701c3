/** A place in an owner's chain. See docs/formats/card.md and the page of the chain. */
import type { HexId } from './ids.ts';

/** Which entry of a chain is meant: its incarnation and number, and the link that commits to all entries up to it. */
export interface Position {
  /** From 1 on. */
  readonly incarnation: number;
  /** From 1 on, below 2^48. */
  readonly seq: number;
  /** SHA-256(previous link ‖ entry digest), 32 bytes. */
  readonly link: HexId;
}

/** The first number that no entry has: six bytes hold every number below it. */
export const SEQ_END = 2 ** 48;
