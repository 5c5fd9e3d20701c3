/** What an answer says of single chunks (docs/chain.md 5.5). */
import type { ChunkId } from '../core/ids.ts';
import type { Answer } from './cover.ts';
import { isListed } from './unsatisfied-list.ts';

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
