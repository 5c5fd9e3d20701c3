/** What the snapshot before has, where the folder cache cannot tell: after the index was rebuilt, or on a machine that recovered. */
import type { ChunkStore } from '../core/ports/chunk-store.ts';
import type { WorkerPool } from '../core/ports/worker-pool.ts';
import { joinPath } from '../files/path-bytes.ts';
import { FolderStateReader, STAT_AT, sizeOf, TYPE_CODES } from '../pipeline/folder-state.ts';
import type { PipelineTasks } from '../pipeline/tasks.ts';
import { decodeEntry } from '../tree/decode-entry.ts';
import { partKey } from './earlier-rows.ts';

export interface RecallDeps {
  readonly chunks: Pick<ChunkStore, 'fetch' | 'locate'>;
  readonly pool: WorkerPool<PipelineTasks>;
}

/** A folder of the snapshot before as a cache row of which nothing passes for unchanged; undefined when its pages are not all on this disk. */
export async function recallFolder(pages: Uint8Array, { chunks, pool }: RecallDeps): Promise<Uint8Array | undefined> {
  const ids = splitIds(pages);
  const addresses = (await chunks.locate(ids)).filter((address) => address !== undefined);
  if (addresses.length < ids.length) return undefined;
  const sealed = new Map<string, { readonly keyId: number; readonly sealed: Uint8Array }>();
  for await (const frame of chunks.fetch(addresses)) {
    if (!('sealed' in frame)) return undefined;
    // A copy, as frames may share a buffer with their neighbours.
    const key = Buffer.from(frame.address.id).toString('latin1');
    sealed.set(key, { keyId: frame.address.keyId, sealed: new Uint8Array(frame.sealed) });
  }
  const wanted = ids.map((id) => ({ id, ...sealed.get(Buffer.from(id).toString('latin1'))! }));
  return (await pool.run('recallState', { pages: wanted })).row;
}

/** Ids joined, taken apart. */
export function splitIds(ids: Uint8Array): Uint8Array[] {
  return Array.from({ length: ids.length / 32 }, (_, i) => ids.slice(i * 32, i * 32 + 32));
}

/**
 * How much lies in a folder and below it, as far as rows tell: what stands for a folder that cannot be read now. `rowOf` is asked by the row's key; with the
 * folder's pages, or without for another part of it.
 */
export async function countBelow(
  path: Uint8Array,
  pages: Uint8Array,
  rowOf: (key: Uint8Array, pages: Uint8Array | undefined) => Promise<Uint8Array | undefined>,
): Promise<{ files: number; dirs: number; others: number; bytes: number }> {
  const counts = { files: 0, dirs: 0, others: 0, bytes: 0 };
  const open = [{ path, pages }];
  while (open.length > 0) {
    const next = open.pop()!;
    let parts = 1;
    for (let part = 0; part < parts; part++) {
      const row = await rowOf(partKey(next.path, part), part === 0 ? next.pages : undefined);
      const state = row === undefined ? undefined : FolderStateReader.open(row);
      if (part === 0) parts = state?.parts ?? 1;
      while (state?.next() === true) {
        const { type, at } = state.record;
        if (type === TYPE_CODES.dir) {
          counts.dirs++;
          const ids = decodeEntry(state.encoded()).pages ?? [];
          open.push({ path: joinPath(next.path, new Uint8Array(state.name())), pages: Buffer.concat(ids) });
        } else if (type === TYPE_CODES.file) {
          counts.files++;
          counts.bytes += sizeOf(state.words, (at + STAT_AT) >> 2);
        } else counts.others++;
      }
    }
  }
  return counts;
}

/** Names of the folders in a row. */
export function foldersInRow(row: Uint8Array): Uint8Array[] {
  const names: Uint8Array[] = [];
  const state = FolderStateReader.open(row);
  while (state?.next() === true) if (state.record.type === TYPE_CODES.dir) names.push(new Uint8Array(state.name()));
  return names;
}
