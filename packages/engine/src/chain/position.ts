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

/**
 * The order of entries of one owner, for sorting. By seq alone they have none: a checkpoint carries snapshots of an
 * older incarnation from behind the base of its own, and the newer incarnation uses their numbers, too.
 */
export function comparePlaces(a: Omit<Position, 'link'>, b: Omit<Position, 'link'>): number {
  return a.incarnation - b.incarnation || a.seq - b.seq;
}

/** Before the first entry of a chain. */
export const ZERO_LINK: Link = '0'.repeat(64);
