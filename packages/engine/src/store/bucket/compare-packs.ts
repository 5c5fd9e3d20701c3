/**
 * Compares packs that a listing shows with those that the index knows. Asked after the store's id was found right, so that what is not listed is gone, and
 * not on another store.
 */
import { type EdgeError, isEdgeError } from '../../core/errors.ts';
import { failpoint } from '../../core/failpoint.ts';
import type { PackName } from '../../core/ids.ts';
import type { ChunkIndex, PackMark, StoreName } from '../../core/ports/index.ts';
import type { ReportProgress } from '../../core/ports/progress.ts';
import type { BucketPacks, ListedPack } from './bucket-packs.ts';

export interface ComparedPacks {
  readonly added: number;
  /** Packs that the index had and that are gone, or have another length: marked now. */
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
  readonly index: Pick<ChunkIndex, 'addPack' | 'liftPackMarks' | 'markPacks' | 'packs'>;
  /** A pack that claims to be stored later is as old as this. */
  readonly nowNs: bigint;
  /** Packs found damaged before, which are not read again. */
  readonly passedOver?: Set<string>;
  readonly progress?: ReportProgress;
}

/**
 * Adds the packs that the index does not know, and marks those that are gone, which count again when a later listing has them. Can be cut off at any moment
 * and begun again.
 */
export async function comparePacks(
  { store, label, packs, listed }: ComparePacksInput,
  deps: ComparePacksDeps,
  signal?: AbortSignal,
): Promise<ComparedPacks> {
  const { index } = deps;
  const rows = new Map(index.packs(store).map((pack) => [pack.name, pack]));
  const unknown: ListedPack[] = [];
  const back: PackName[] = [];
  const gone: PackMark[] = [];
  for (const pack of listed) {
    const row = rows.get(pack.name);
    rows.delete(pack.name);
    if (row === undefined) {
      if (deps.passedOver?.has(pack.name) !== true) unknown.push(pack);
    } else if (row.bytes === pack.bytes) {
      if (row.marked === 'absent') back.push(pack.name);
    } else if (row.marked === undefined) {
      gone.push({
        name: pack.name,
        reason: 'damaged',
        why: `it has ${pack.bytes} bytes in ${label}, not ${row.bytes}`,
      });
    }
  }
  for (const { name, marked } of rows.values())
    if (marked !== 'absent') gone.push({ name, reason: 'absent', why: `it is not in ${label} any more` });
  index.liftPackMarks(back, store);
  index.markPacks(gone, store);
  const damaged: EdgeError[] = [];
  let added = 0;
  for (const pack of unknown) {
    signal?.throwIfAborted();
    try {
      const contents = await packs.readContents(pack, signal);
      if (contents === undefined) continue;
      const { packClass, frames } = contents;
      index.addPack(
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
