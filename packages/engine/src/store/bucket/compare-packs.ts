/**
 * Compares packs that a listing shows with those that the index knows. Asked after the store's id was found right, so that what is not listed is gone, and
 * not on another store.
 */
import { type EdgeError, isEdgeError } from '../../core/errors.ts';
import { failpoint } from '../../core/failpoint.ts';
import type { PackName } from '../../core/ids.ts';
import type { ChunkIndex, PackRow, StoreName } from '../../core/ports/index.ts';
import type { ReportProgress } from '../../core/ports/progress.ts';
import type { BucketPacks, ListedPack } from './bucket-packs.ts';

export interface ComparedPacks {
  readonly added: number;
  /** Packs that the index had and that are gone, or have another length. */
  readonly gone: readonly PackName[];
  /** Packs that are there but damaged; each error names its pack. */
  readonly damaged: readonly EdgeError[];
}

export interface ComparePacksInput {
  readonly store: StoreName;
  readonly label: string;
  readonly packs: Pick<BucketPacks, 'readContents'>;
  readonly listed: readonly ListedPack[];
}

export interface ComparePacksDeps {
  readonly index: Pick<ChunkIndex, 'addPack' | 'packs' | 'forgetPack'>;
  /** When a pack counts as stored where the store does not say. */
  readonly nowNs: bigint;
  /** Packs found damaged before, which are not read again. */
  readonly passedOver?: Set<string>;
  /** Called before rows of packs that are gone are removed. */
  readonly onGone?: (gone: readonly PackRow[]) => void;
  readonly progress?: ReportProgress;
}

/** Adds the packs that the index does not know, and forgets those that are gone. Can be cut off at any moment and begun again. */
export async function comparePacks(
  { store, label, packs, listed }: ComparePacksInput,
  deps: ComparePacksDeps,
  signal?: AbortSignal,
): Promise<ComparedPacks> {
  const known = new Map(deps.index.packs(store).map((pack) => [pack.name, pack]));
  const unknown: ListedPack[] = [];
  for (const pack of listed) {
    // An object that is shorter than the pack that was verified there is damaged: its rows go, and its chunks are put again.
    if (known.get(pack.name)?.bytes === pack.bytes) known.delete(pack.name);
    else if (deps.passedOver?.has(pack.name) !== true) unknown.push(pack);
  }
  const gone = [...known.values()];
  if (gone.length > 0) deps.onGone?.(gone);
  for (const { name } of gone) deps.index.forgetPack(name, store);
  const damaged: EdgeError[] = [];
  let added = 0;
  for (const pack of unknown) {
    signal?.throwIfAborted();
    try {
      const contents = await packs.readContents(pack, signal);
      if (contents === undefined) continue;
      const { packClass, frames } = contents;
      deps.index.addPack(
        {
          name: pack.name,
          store,
          packClass,
          bytes: pack.bytes,
          frames: frames.length,
          // Ages decide what is cold: what was put long ago must not look new because it was learned again.
          createdNs: contents.storedNs > deps.nowNs ? deps.nowNs : contents.storedNs,
        },
        frames,
        true,
      );
      failpoint('bucket.pack-learned');
      added += 1;
      deps.progress?.({ phase: 'read bucket', filesDone: added, filesTotal: unknown.length, detail: label });
    } catch (error) {
      if (!isEdgeError(error, 'E_INTEGRITY')) throw error;
      damaged.push(error);
      deps.passedOver?.add(pack.name);
    }
  }
  return { added, gone: gone.map(({ name }) => name), damaged };
}
