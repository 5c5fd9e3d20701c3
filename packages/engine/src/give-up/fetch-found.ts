/**
 * A frame of a missing chunk that some store still has, in whatever form: it is fetched, opened and stored here instead
 * of giving the chunk up (docs/chain.md 2.10).
 */
import { hash } from 'node:crypto';
import type { TreeReader } from '../browse/tree-reader.ts';
import { asBuffer } from '../core/bytes.ts';
import { type EdgeError, isEdgeError } from '../core/errors.ts';
import { type ChunkId, ChunkKind, type PackClass } from '../core/ids.ts';
import type { ChunkStore } from '../core/ports/chunk-store.ts';
import type { ChunkIndex } from '../core/ports/index.ts';

export interface FetchFoundDeps {
  /** Of all sources. */
  readonly reader: TreeReader;
  readonly chunks: Pick<ChunkStore, 'openWriter'>;
  readonly index: Pick<ChunkIndex, 'beginSession' | 'endSession'>;
  readonly signal?: AbortSignal | undefined;
}

const CLASSES: readonly { readonly packClass: PackClass; readonly kinds: readonly ChunkKind[] }[] = [
  { packClass: 'data', kinds: [ChunkKind.data] },
  { packClass: 'meta', kinds: [ChunkKind.tree, ChunkKind.list] },
];

/**
 * Durable when it resolves. Answers why a chunk could not be looked for in every place; undefined when each is stored
 * now, or is absent or damaged everywhere.
 */
export async function fetchFound(ids: readonly ChunkId[], deps: FetchFoundDeps): Promise<EdgeError | undefined> {
  const session = deps.index.beginSession('give-up');
  const writer = deps.chunks.openWriter();
  try {
    for (const id of ids) {
      const problem = await fetchOne(id, writer, deps);
      if (problem === undefined) continue;
      await writer.close();
      return problem;
    }
    await writer.close();
    return undefined;
  } catch (error) {
    await writer.abandon();
    throw error;
  } finally {
    deps.index.endSession(session);
  }
}

async function fetchOne(
  id: ChunkId,
  writer: ReturnType<FetchFoundDeps['chunks']['openWriter']>,
  { reader, signal }: FetchFoundDeps,
): Promise<EdgeError | undefined> {
  for (const { packClass, kinds } of CLASSES) {
    try {
      const { sealed, keyId } = await reader.chunks.readSealed(kinds, id, signal);
      const sha256 = hash('sha256', asBuffer(sealed), 'buffer');
      await writer.add({ id, packClass, keyId, bytes: sealed, sha256, identified: true });
      return undefined;
    } catch (error) {
      signal?.throwIfAborted();
      if (!isEdgeError(error) || isEdgeError(error, 'E_NO_SPACE')) throw error;
      // Absent or damaged in every place, or of the other class.
      if (!isEdgeError(error, 'E_INTEGRITY')) return error;
    }
  }
  return undefined;
}
