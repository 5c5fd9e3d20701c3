/**
 * A small set of the first 48 bits of chunk ids: 16 bytes of memory a chunk where a set of strings takes a hundred. It says "perhaps" or "no".
 */
import type { ChunkId } from '../../core/ids.ts';

/** Beyond this many it begins anew; the cost is that a chunk may be stored twice. */
const KEYS_MAX = 1_000_000;

export interface ChunkKeySet {
  mayHave(id: ChunkId): boolean;
  add(id: ChunkId): void;
}

export function chunkKeySet(): ChunkKeySet {
  let slots = new Float64Array(1024);
  let used = 0;

  const find = (table: Float64Array, key: number): number => {
    const mask = table.length - 1;
    let at = key & mask;
    while (table[at] !== 0 && table[at] !== key) at = (at + 1) & mask;
    return at;
  };
  return {
    mayHave: (id) => slots[find(slots, keyOf(id))] !== 0,
    add: (id) => {
      if (used >= KEYS_MAX) {
        slots = new Float64Array(1024);
        used = 0;
      }
      const key = keyOf(id);
      const at = find(slots, key);
      if (slots[at] === key) return;
      slots[at] = key;
      used++;
      if (used * 2 <= slots.length) return;
      const larger = new Float64Array(slots.length * 2);
      for (const old of slots) if (old !== 0) larger[find(larger, old)] = old;
      slots = larger;
    },
  };
}

/** Never zero, which stands for an empty slot. */
function keyOf(id: ChunkId): number {
  const high = (id[0]! << 16) | (id[1]! << 8) | id[2]!;
  const low = (id[3]! << 16) | (id[4]! << 8) | id[5]!;
  return high * 0x1000000 + low + 1;
}
