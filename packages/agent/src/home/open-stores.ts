/** The `[stores.<name>]` of the configuration as this agent uses them. */
import {
  type BucketPacks,
  type BucketVault,
  type Clock,
  createIndexedSource,
  type Engine,
  type ObjectStore,
  openBucketPacks,
  openBucketVault,
  openObjectStore,
  type RandomBytes,
  type RateLimiter,
  requireKnownStore,
  type SealedSource,
} from '@edgestore/engine';
import type { StoreConfig } from '../config/config.ts';

/** One configured store, with the prefix of this agent's life in it. */
export interface OpenStore {
  readonly name: string;
  readonly config: StoreConfig;
  readonly objects: ObjectStore;
  readonly packs: BucketPacks;
  readonly vault: BucketVault;
  /** Throws unless it is the place that this vault was put into, asked now. */
  readonly requireIdentity: (signal?: AbortSignal) => Promise<void>;
  /** Sealed chunks there, as far as the index knows them. */
  readonly source: SealedSource;
}

/** Asks nothing of any store yet. E_CONFIG for one that cannot be. */
export function openStores(
  configs: Readonly<Record<string, StoreConfig>>,
  engine: Engine,
  deps: {
    readonly clock: Clock;
    readonly random: RandomBytes;
    readonly limits: { readonly upload: RateLimiter; readonly download: RateLimiter };
    readonly countsOf: (store: string) => NonNullable<Parameters<typeof openObjectStore>[1]['counts']>;
  },
): Map<string, OpenStore> {
  const { identity, index, keys } = engine;
  const life = { agent: identity.agentId, incarnation: identity.incarnation };
  const out = new Map<string, OpenStore>();
  for (const [name, config] of Object.entries(configs)) {
    const objects = openObjectStore(
      {
        name,
        url: config.url,
        ...(config.endpoint === undefined ? {} : { endpoint: config.endpoint }),
        ...(config.region === undefined ? {} : { region: config.region }),
        ...(config.pathStyle === undefined ? {} : { pathStyle: config.pathStyle }),
        ...(config.storageClass === undefined ? {} : { storageClass: config.storageClass }),
      },
      { clock: deps.clock, random: deps.random, limits: deps.limits, counts: deps.countsOf(name) },
    );
    const check = { name, store: objects, vault: keys.vaultId };
    const requireIdentity = (signal?: AbortSignal) => requireKnownStore(check, index.kv, signal);
    const vault = openBucketVault(objects, keys.vaultId, requireIdentity);
    const packs = openBucketPacks({ store: objects, vault: keys.vaultId, life, requireIdentity });
    const source = createIndexedSource({ name, packs, requireIdentity }, index.chunks);
    out.set(name, { name, config, objects, packs, vault, requireIdentity, source });
  }
  return out;
}
