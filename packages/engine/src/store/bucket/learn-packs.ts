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
  readonly index: Pick<ChunkIndex, 'addPack' | 'liftPackMarks' | 'markPacks' | 'packs'>;
  /** A pack that claims to be stored later is as old as this. */
  readonly nowNs: bigint;
  readonly progress?: ReportProgress;
}

/**
 * Adds the packs of one agent (all its lives; of all agents when undefined) that the index does not know, and marks those that are gone, which count again when a later
 * listing has them. Throws when the bucket cannot be asked or is not the one: then nothing is said to be gone. Can be cut off at any moment and begun again.
 */
export async function learnPacks(
  bucket: Pick<Bucket, 'name' | 'label' | 'packs' | 'requireIdentity'>,
  agent: AgentId | undefined,
  deps: LearnPacksDeps,
  signal?: AbortSignal,
): Promise<LearnedPacks> {
  await bucket.requireIdentity(signal);
  const rows = deps.index.packs(bucket.name);
  const known = new Set(rows.map((pack) => pack.name));
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
          createdNs: contents.storedNs > deps.nowNs ? deps.nowNs : contents.storedNs,
        },
        frames,
        true,
      );
      failpoint('bucket.pack-learned');
      added += 1;
      deps.progress?.({ phase: 'read bucket', filesDone: added, filesTotal: unknown.length, detail: bucket.label });
    } catch (error) {
      if (!isEdgeError(error, 'E_INTEGRITY')) throw error;
      damaged.push(error);
    }
  }
  const back = rows.filter((pack) => pack.marked === 'absent' && listed.has(pack.name));
  deps.index.liftPackMarks(
    back.map((pack) => pack.name),
    bucket.name,
  );
  const gone = [...known].filter((name) => !listed.has(name));
  // The listing may be of another place than the identity: a disk can go at any moment.
  if (gone.length > 0) await bucket.requireIdentity(signal);
  const why = `it is not in ${bucket.label} any more`;
  deps.index.markPacks(
    gone.map((name) => ({ name, reason: 'absent', why })),
    bucket.name,
  );
  return { added, gone, damaged };
}
