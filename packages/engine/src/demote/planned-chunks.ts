/** The chunks of one part of a plan: numbers of rows of the age table, looked up again, some at a time, by whoever goes through them. */
import { toHex } from '../core/ids.ts';
import type { ChunkIndex, ChunkLocation } from '../core/ports/index.ts';
import type { AgeTable } from './age-table.ts';
import type { PlannedChunk, PlannedChunks } from './demote-types.ts';

const ROWS_FIRST = 1024;
const LOCATE_AT_ONCE = 1000;

export interface OpenPlannedChunks extends PlannedChunks {
  add(row: number, chunk: ChunkLocation): void;
}

/** `belongs`: whether a chunk with these copies is still one of this part; those that are not any more are left out. */
export function plannedChunks(
  ages: Pick<AgeTable, 'at'>,
  index: Pick<ChunkIndex, 'locateKeys'>,
  belongs: (copies: readonly ChunkLocation[]) => boolean,
): OpenPlannedChunks {
  let rows = new Uint32Array(ROWS_FIRST);
  let used = 0;
  let count = 0;
  let bytes = 0;
  return {
    get count() {
      return count;
    },
    get bytes() {
      return bytes;
    },
    add(row, chunk) {
      count++;
      bytes += chunk.sealedBytes;
      // Chunks that share their first 48 bits share a row, too.
      if (used > 0 && rows[used - 1] === row) return;
      if (used === rows.length) {
        const larger = new Uint32Array(rows.length * 2);
        larger.set(rows);
        rows = larger;
      }
      rows[used++] = row;
    },
    *[Symbol.iterator]() {
      for (let from = 0; from < used; from += LOCATE_AT_ONCE) {
        const keys = Array.from(rows.subarray(from, Math.min(from + LOCATE_AT_ONCE, used)), (row) => ages.at(row).key);
        for (const found of index.locateKeys(keys)) {
          for (const copies of copiesById(found)) {
            const local = copies.find((copy) => copy.store === '');
            if (local !== undefined && belongs(copies)) yield planned(local);
          }
        }
      }
    },
  };
}

/** Nearly always one group. */
export function copiesById(copies: readonly ChunkLocation[]): ChunkLocation[][] {
  const groups = new Map<string, ChunkLocation[]>();
  for (const copy of copies) {
    const hex = toHex(copy.id);
    const group = groups.get(hex);
    if (group === undefined) groups.set(hex, [copy]);
    else group.push(copy);
  }
  return [...groups.values()];
}

function planned(local: ChunkLocation): PlannedChunk {
  const { id, keyId, sealedBytes, sealedSha256, pack, offset, createdNs } = local;
  return { id, keyId, sealedBytes, sealedSha256, pack, offset, createdNs };
}
