/** What an answer says of single chunks (docs/chain.md 5.5). */
import { asBuffer } from '../core/bytes.ts';
import type { ChunkId } from '../core/ids.ts';
import type { Answer } from './cover.ts';
import type { UnsatisfiedList } from './statement.ts';

/** A chunk that is held in a shard since its added seq. */
export interface ShardHold {
  readonly shard: number;
  readonly seq: number;
}

/** Whether the answer says that the chunk is held in the shard and satisfied there. `seq` is its present added seq at the owner. */
export function isPlaced(
  id: ChunkId,
  { shard, seq }: ShardHold,
  { statement, lists }: Pick<Answer, 'statement' | 'lists'>,
): boolean {
  const stated = statement.shards.find((one) => one.shard === shard);
  if (stated === undefined || seq > stated.applied) return false;
  if (seq <= stated.whole) return true;
  const list = lists.get(shard);
  return list !== undefined && !isListed(list, id);
}

/** Whether a list, which is sorted by id, has the chunk. */
export function isListed(list: UnsatisfiedList, id: ChunkId): boolean {
  const wanted = asBuffer(id);
  let low = 0;
  let high = list.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const order = wanted.compare(list[middle]!.id);
    if (order === 0) return true;
    if (order < 0) high = middle - 1;
    else low = middle + 1;
  }
  return false;
}
