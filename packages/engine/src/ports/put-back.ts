/** The state of a machine that was put back to an older state, or copied: proved by its own signature on an entry that it does not have (docs/chain.md 2.7). */
import type { Position } from '../chain/position.ts';

export interface PutBackProof {
  /** An entry with a valid signature of this incarnation that is not on the own trail. */
  readonly position: Position;
  /** The store that showed it, for messages. */
  readonly shownBy: string;
  readonly sinceNs: bigint;
}

/** While it is set, nothing is sent to a store, nothing is deleted in a bucket, no statement counts. Only a takeover ends it. */
export interface PutBack {
  get(): PutBackProof | undefined;
  /** Durable when it resolves. The first proof stays. */
  set(proof: PutBackProof): Promise<void>;
}
