/** The `[stores.<name>]` of the configuration as this agent uses them. */
import {
  type BucketPacks,
  type BucketVault,
  type Clock,
  createIndexedSource,
  EdgeError,
  type Engine,
  type KeyValue,
  type ObjectStore,
  openBucketPacks,
  openBucketVault,
  openObjectStore,
  type RandomBytes,
  type RateLimiter,
  requireVaultHere,
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
    const vault = openBucketVault(objects, keys.vaultId);
    const packs = refusingStrangers(
      openBucketPacks({ store: objects, vault: keys.vaultId, life }),
      name,
      vault,
      index.kv,
    );
    const requireIdentity = (signal?: AbortSignal) => requireVaultHere(vault, signal);
    const source = createIndexedSource({ name, packs, requireIdentity }, index.chunks);
    out.set(name, { name, config, objects, packs, vault, requireIdentity, source });
  }
  return out;
}

/**
 * A store that had this vault's descriptor and has none now is not the same store: an archive that is not mounted, an emptied or mistaken bucket. What
 * is put there would count as a copy. Asked once in the life of a home, before the first pack.
 */
function refusingStrangers(packs: BucketPacks, name: string, vault: BucketVault, kv: KeyValue): BucketPacks {
  let asked: Promise<void> | undefined;
  async function ask(signal: AbortSignal | undefined): Promise<void> {
    const wasThere = [`store:${name}`, `store-meta:${name}`].some(
      (target) => kv.get(`bucket.files.${target}`) !== undefined,
    );
    if (!wasThere || (await vault.descriptor(signal)) !== undefined) return;
    throw new EdgeError(
      'E_NO_BUCKET',
      `${vault.label} held this vault before and holds nothing of it now; nothing was put there`,
      {
        hint: `Mount it, or correct [stores.${name}]. For a store that is meant to be new, use a new name.`,
        context: { store: name },
      },
    );
  }
  return {
    ...packs,
    put: async (pack, body, signal) => {
      asked ??= ask(signal);
      try {
        await asked;
      } catch (error) {
        asked = undefined;
        throw error;
      }
      await packs.put(pack, body, signal);
    },
  };
}
