/** A place on an owner's chain. See docs/formats/chain.md. */
import type { HexId } from '../core/ids.ts';

/** SHA-256(previous link ‖ entry digest), 64 lower-case hex digits. It names the whole chain up to and with its entry. A snapshot's id is the link of its entry. */
export type Link = HexId;

export interface Position {
  /** Of the entry at `seq`, from 1. */
  readonly incarnation: number;
  /** From 1, below 2^48; goes on from the base after a takeover. */
  readonly seq: number;
  readonly link: Link;
}

/** Before the first entry of a chain. */
export const ZERO_LINK: Link = '0'.repeat(64);
