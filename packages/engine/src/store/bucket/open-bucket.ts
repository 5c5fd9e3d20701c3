/** One configured store as an agent uses it: packs to write and read, the vault's files, and a source for restores. */
import type { PackName, VaultId } from '../../core/ids.ts';
import type { ChunkIndex, StoreName } from '../../core/ports/index.ts';
import type { ObjectStore } from '../../core/ports/object-store.ts';
import type { SealedSource } from '../../core/ports/sealed-source.ts';
import type { Life } from './bucket-layout.ts';
import { type BucketPacks, openBucketPacks } from './bucket-packs.ts';
import { createBucketSource } from './bucket-source.ts';
import { type BucketVault, openBucketVault } from './bucket-vault.ts';

export interface Bucket {
  /** `[stores.<name>]` */
  readonly name: StoreName;
  readonly label: string;
  readonly store: ObjectStore;
  readonly packs: BucketPacks;
  readonly vault: BucketVault;
  /** Reads what the index says lies here; marks there what turns out bad. */
  readonly source: SealedSource;
}

/** Asks nothing of the store yet. */
export function openBucket(
  input: { readonly name: StoreName; readonly store: ObjectStore; readonly vault: VaultId; readonly life: Life },
  deps: { readonly index: Pick<ChunkIndex, 'locate' | 'markBad'> },
): Bucket {
  const { name, store, vault, life } = input;
  const packs = openBucketPacks({ store, vault, life });
  const source = createBucketSource({
    packs,
    locate: (ids) =>
      deps.index.locate(ids).map((copies) => {
        const copy = copies.find((one) => one.store === name);
        if (copy === undefined) return undefined;
        return { id: copy.id, keyId: copy.keyId, sealedBytes: copy.sealedBytes, pack: copy.pack, offset: copy.offset };
      }),
    markBad: (id, pack: PackName, why) => deps.index.markBad(id, pack, why, name),
  });
  return { name, label: store.label, store, packs, vault: openBucketVault(store, vault), source };
}
