/** Marks of ids that are being released (docs/chain.md 2.9). They are in memory: a start applies the chain, and no mark outlives the process. */
import type { ChunkId } from '../core/ids.ts';
import type { HoldTable, ReleaseTurn } from '../ports/chain-index.ts';
import type { Db } from './database.ts';
import { key48 } from './key48.ts';

export interface ReleaseMarks extends ReleaseTurn {
  /** By key: a chance collision has a chunk stored once more. */
  isMarked(id: ChunkId): boolean;
}

export function releaseMarks(
  db: Db,
  deps: { readonly holds: Pick<HoldTable, 'formsOf' | 'shards'>; readonly isClaimed: (id: ChunkId) => boolean },
): ReleaseMarks {
  const marked = new Set<number>();
  return {
    isMarked: (id) => marked.size > 0 && marked.has(key48(id)),
    mark: (chain, shard, ids, walkedSeq) =>
      db
        .transaction(() => {
          const taken: ChunkId[] = [];
          const seen = new Set<string>();
          for (const id of ids) {
            const name = Buffer.from(id).toString('latin1');
            const added = deps.holds.formsOf(chain, shard, id)[0]?.seq;
            if (seen.has(name) || added === undefined || added > walkedSeq || deps.isClaimed(id)) continue;
            seen.add(name);
            taken.push(id);
          }
          for (const id of taken) marked.add(key48(id));
          return taken;
        })
        .immediate(),
    markGone: (chain, ids, mayGo) =>
      db
        .transaction(() => {
          const byShard = new Map<number, ChunkId[]>();
          const gone: number[] = [];
          for (const [at, id] of ids.entries()) {
            if (deps.isClaimed(id) || !mayGo(at)) continue;
            gone.push(at);
            for (const { shard } of deps.holds.shards(chain))
              if (deps.holds.formsOf(chain, shard, id).length > 0)
                byShard.set(shard, [...(byShard.get(shard) ?? []), id]);
            marked.add(key48(id));
          }
          return { byShard, marked: gone };
        })
        .immediate(),
    clear: () => marked.clear(),
  };
}
