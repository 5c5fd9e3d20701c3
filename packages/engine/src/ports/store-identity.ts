/** Who this store is, and since when what it says of itself holds (docs/chain.md 4). */
import type { HexId } from '../core/ids.ts';

export interface StoreIdentity {
  /** 16 random bytes of the data dir, 32 hex digits. */
  readonly storeId: HexId;
  /** 16 random bytes of this process, 32 hex digits. In memory only. */
  readonly startId: HexId;
  /** Rises before a loss is marked, at a rebuild and where a chain file ends before the index. */
  epoch(): bigint;
  /** Durable when it returns, before the transaction that marks a loss. At least `above` + 1 when given. */
  raiseEpoch(above?: bigint): bigint;
}
