/**
 * Stores that speak for their copies in the job that is under way (docs/chain.md 5.5, 6.1). Each call asks the store anew: an answer of an earlier job allows
 * no drop.
 */
import type { Statement } from '../chain/statement.ts';
import type { ListedIds } from '../chain/unsatisfied-list.ts';
import type { AgentId, HexId } from '../core/ids.ts';
import type { StoreName } from '../core/ports/index.ts';

export interface Witnesses {
  /**
   * A holder's statement for a fresh nonce, with its lists. Undefined for a holder that the present layout does not rank. E_ROLLBACK when this machine was put
   * back; E_INTEGRITY for an answer that is not this holder's.
   */
  holder(agent: AgentId, signal?: AbortSignal): Promise<HolderAnswer | undefined>;
  /** A bucket whose id was read and whose listing was compared after this call began. Undefined for one that is no target. Throws where it does not count. */
  bucket(store: StoreName, signal?: AbortSignal): Promise<BucketWitness | undefined>;
}

export interface HolderAnswer {
  readonly statement: Statement;
  /** By shard, where they are made. */
  readonly lists: ReadonlyMap<number, ListedIds>;
}

export interface BucketWitness {
  readonly storeId: HexId;
  readonly location: HexId;
}
