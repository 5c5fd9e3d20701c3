/** Buckets that stand behind copies of this holder: where a tiering moves chunks that others hold here (docs/chain.md 10.3). */
import { type Backing, type Engine, knownStoreId, locationOf } from '@edgestore/engine';
import type { Config } from '../config/config.ts';
import { coldStoresOf } from './effective-policy.ts';

/** Every shard of the owner is named: which chunks lie in a bucket alone is not counted a shard. */
export function backingOf(owner: string, config: Config, engine: Pick<Engine, 'chains' | 'index'>): Backing[] {
  const shards = engine.chains.shards(owner).map(({ shard }) => shard);
  if (shards.length === 0) return [];
  return coldStoresOf(config).flatMap((name) => {
    const store = config.stores[name];
    const storeId = knownStoreId(engine.index.kv, name);
    // Nothing was ever put into a store without an id.
    if (store === undefined || storeId === undefined) return [];
    return [{ storeId, location: locationOf(store, storeId), shards }];
  });
}
