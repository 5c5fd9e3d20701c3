import type { UnsatisfiedList } from '../chain/statement.ts';
import { asBuffer } from '../core/bytes.ts';
import type { ChunkId } from '../core/ids.ts';

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
