/** A bucket as a source of chunks, by what the index says lies there. */
import { noteIfRoom } from '../../core/full-disk.ts';
import type { ChunkIndex, StoreName } from '../../core/ports/index.ts';
import type { SealedSource } from '../../core/ports/sealed-source.ts';
import { sha256Matches } from '../chunk-store/sealed-hash.ts';
import type { BucketPacks } from './bucket-packs.ts';
import { createBucketSource } from './bucket-source.ts';

export interface IndexedSourceInput {
  readonly name: StoreName;
  readonly packs: Pick<BucketPacks, 'label' | 'readRange'>;
  /** See `BucketSourceDeps`. */
  readonly requireIdentity: (signal?: AbortSignal) => Promise<void>;
}

/** Marks in the index what turns out bad or gone, and lifts the mark of what is good again. Asks nothing of the store yet. */
export function createIndexedSource(
  { name, packs, requireIdentity }: IndexedSourceInput,
  index: Pick<ChunkIndex, 'allCopies' | 'liftMarks' | 'markCopies'>,
): SealedSource {
  return createBucketSource({
    packs,
    requireIdentity,
    locate: (ids) =>
      index.allCopies(ids).map((copies) => {
        const here = copies.filter((one) => one.store === name);
        const copy = here.find((one) => one.marked === undefined) ?? here[0];
        if (copy === undefined) return undefined;
        const { id, keyId, sealedBytes, pack, packClass, offset, marked } = copy;
        return { id, keyId, sealedBytes, pack, packClass, offset, ...(marked === undefined ? {} : { marked }) };
      }),
    mark: (marks) => noteIfRoom(() => index.markCopies(marks, name)),
    seen: ({ id, pack, sealed }) => {
      const row = index.allCopies([id])[0]!.find((copy) => copy.store === name && copy.pack === pack);
      if (row !== undefined && sha256Matches(sealed, row.sealedSha256))
        noteIfRoom(() => index.liftMarks([{ id, pack }], name));
    },
  });
}
