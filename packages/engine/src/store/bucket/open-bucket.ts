/** One configured store as an agent uses it: packs to write and read, the vault's files, and a source for restores. */
import type { HexId, VaultId } from '../../core/ids.ts';
import type { ChunkIndex, KeyValue, StoreName } from '../../core/ports/index.ts';
import type { ObjectStore } from '../../core/ports/object-store.ts';
import type { SealedSource } from '../../core/ports/sealed-source.ts';
import type { Life } from './bucket-layout.ts';
import { type BucketPacks, openBucketPacks } from './bucket-packs.ts';
import { type BucketVault, openBucketVault } from './bucket-vault.ts';
import { createIndexedSource } from './indexed-source.ts';
import { requireKnownStore, requireStoreId } from './store-id.ts';

export interface Bucket {
  /** `[stores.<name>]` */
  readonly name: StoreName;
  readonly label: string;
  readonly store: ObjectStore;
  readonly packs: BucketPacks;
  readonly vault: BucketVault;
  /** Throws unless this is the place that this vault was put into, asked now. Nothing there is called absent or gone before. */
  requireIdentity(signal?: AbortSignal): Promise<void>;
  /** Throws unless the place that answers now has exactly this id. */
  requireStoreId(storeId: HexId, signal?: AbortSignal): Promise<void>;
  /** Reads what the index says lies here; marks there what turns out bad. */
  readonly source: SealedSource;
}

/** Asks nothing of the store yet. */
export function openBucket(
  input: { readonly name: StoreName; readonly store: ObjectStore; readonly vault: VaultId; readonly life: Life },
  deps: { readonly index: Pick<ChunkIndex, 'allCopies' | 'liftMarks' | 'markCopies'>; readonly kv: KeyValue },
): Bucket {
  const { name, store, vault, life } = input;
  const check = { name, store, vault };
  const requireIdentity = (signal?: AbortSignal) => requireKnownStore(check, deps.kv, signal);
  const packs = openBucketPacks({ store, vault, life, requireIdentity });
  const files = openBucketVault(store, vault, requireIdentity);
  const source = createIndexedSource({ name, packs, requireIdentity }, deps.index);
  return {
    name,
    label: store.label,
    store,
    packs,
    vault: files,
    requireIdentity,
    requireStoreId: (storeId, signal) => requireStoreId(check, storeId, signal),
    source,
  };
}
