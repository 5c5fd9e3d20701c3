/** Brings the index in line with the packs that lie in a bucket: after the index was rebuilt, or on a recovered machine. */
import { type EdgeError, isEdgeError } from '../../core/errors.ts';
import { failpoint } from '../../core/failpoint.ts';
import type { AgentId, PackName } from '../../core/ids.ts';
import type { ChunkIndex } from '../../core/ports/index.ts';
import type { ReportProgress } from '../../core/ports/progress.ts';
import type { ListedPack } from './bucket-packs.ts';
import type { Bucket } from './open-bucket.ts';

export interface LearnedPacks {
  readonly added: number;
  /** Packs that the index had and the bucket has no more. */
  readonly gone: readonly PackName[];
  /** Packs that are there but damaged; each error names its pack. */
  readonly damaged: readonly EdgeError[];
}

export interface LearnPacksDeps {
  readonly index: Pick<ChunkIndex, 'addPack' | 'packs' | 'forgetPack'>;
  /** When a pack counts as stored where the store does not say. */
  readonly nowNs: bigint;
  readonly progress?: ReportProgress;
}

/**
 * Adds the packs of one agent (all its lives; of all agents when undefined) that the index does not know, and forgets those that are gone. Throws when the bucket cannot be asked:
 * then nothing is said to be gone. Can be cut off at any moment and begun again.
 */
export async function learnPacks(
  bucket: Pick<Bucket, 'name' | 'label' | 'packs'>,
  agent: AgentId | undefined,
  deps: LearnPacksDeps,
  signal?: AbortSignal,
): Promise<LearnedPacks> {
  const known = new Set(deps.index.packs(bucket.name).map((pack) => pack.name));
  const unknown: ListedPack[] = [];
  const listed = new Set<PackName>();
  for await (const pack of bucket.packs.list(agent, signal)) {
    listed.add(pack.name);
    if (!known.has(pack.name)) unknown.push(pack);
  }
  const damaged: EdgeError[] = [];
  let added = 0;
  for (const pack of unknown) {
    signal?.throwIfAborted();
    try {
      const contents = await bucket.packs.readContents(pack, signal);
      if (contents === undefined) continue;
      const { packClass, frames } = contents;
      deps.index.addPack(
        {
          name: pack.name,
          store: bucket.name,
          packClass,
          bytes: pack.bytes,
          frames: frames.length,
          // Ages decide what is cold: what was put long ago must not look new because it was learned again.
          createdNs: createdOf(pack, deps.nowNs),
        },
        frames,
      );
      failpoint('bucket.pack-learned');
      added += 1;
      deps.progress?.({ phase: 'read bucket', filesDone: added, filesTotal: unknown.length, detail: bucket.label });
    } catch (error) {
      if (!isEdgeError(error, 'E_INTEGRITY')) throw error;
      damaged.push(error);
    }
  }
  const gone = [...known].filter((name) => !listed.has(name));
  for (const name of gone) deps.index.forgetPack(name, bucket.name);
  return { added, gone, damaged };
}

/** A store's clock ahead of ours, or before 1970, says nothing. */
function createdOf({ modifiedNs }: ListedPack, nowNs: bigint): bigint {
  return modifiedNs === undefined || modifiedNs < 0n || modifiedNs > nowNs ? nowNs : modifiedNs;
}
