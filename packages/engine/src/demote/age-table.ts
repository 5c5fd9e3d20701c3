/**
 * The age and the policy of every chunk that is reached, in some 25 bytes each: an edge may have ten million chunks. Kept by the first 48 bits of the id,
 * as in the index. Two chunks with the same ones share a row, which has the younger age and the stricter policy of both: each stays a little longer.
 */
import type { ChunkId } from '../core/ids.ts';
import type { TierPolicy } from './demote-types.ts';

export interface ReachedChunk {
  /** See `ChunkIndex.locateKeys`. */
  readonly key: number;
  /** Of the youngest file that has it, in whole milliseconds, rounded up. */
  readonly mtimeNs: bigint;
  /** Undefined when some file that has it is in a root without tiering, pinned, or not matched: it stays. */
  readonly policy: TierPolicy | undefined;
}

export interface AgeTable {
  count(): number;
  at(position: number): ReachedChunk;
  find(key: number): ReachedChunk | undefined;
  add(key: number, mtimeNs: bigint, policy: TierPolicy | undefined): void;
}

const STAYS = 0xffff;
/** Rows are kept in pieces of so many, so that growing copies nothing. */
const PIECE_ROWS = 1 << 18;
const PIECE_MASK = PIECE_ROWS - 1;
const PIECE_SHIFT = 18;
const SLOTS_FIRST = 1 << 12;
/** Slots are doubled when more than this part is taken. */
const FULL_PART = 0.7;

interface Piece {
  readonly keys: Float64Array;
  readonly mtimes: Float64Array;
  readonly rules: Uint16Array;
}

export function createAgeTable(): AgeTable {
  const policies: TierPolicy[] = [];
  const pieces: Piece[] = [];
  /** Open addressing: the number of a row plus one, 0 where there is none. */
  let slots = new Uint32Array(SLOTS_FIRST);
  let count = 0;

  const pieceOf = (row: number): Piece => pieces[row >>> PIECE_SHIFT]!;
  const keyAt = (row: number): number => pieceOf(row).keys[row & PIECE_MASK]!;

  function slotOf(table: Uint32Array, key: number): number {
    const mask = table.length - 1;
    // The ids are hashes: any bits of them will do.
    let slot = (key ^ (key / 0x10000)) & mask;
    for (let taken = table[slot]!; taken !== 0 && keyAt(taken - 1) !== key; taken = table[slot]!)
      slot = (slot + 1) & mask;
    return slot;
  }

  function grow(): void {
    const larger = new Uint32Array(slots.length * 2);
    for (let row = 0; row < count; row++) larger[slotOf(larger, keyAt(row))] = row + 1;
    slots = larger;
  }

  function policyNumber(policy: TierPolicy | undefined): number {
    if (policy === undefined) return STAYS;
    const known = policies.indexOf(policy);
    return known >= 0 ? known : policies.push(policy) - 1;
  }

  /** Of two policies for one chunk the one that keeps it longer. */
  function stricter(a: number, b: number): number {
    if (a === STAYS || b === STAYS) return STAYS;
    return policies[a]!.warmNs >= policies[b]!.warmNs ? a : b;
  }

  const at = (row: number): ReachedChunk => {
    const { keys, mtimes, rules } = pieceOf(row);
    const i = row & PIECE_MASK;
    return { key: keys[i]!, mtimeNs: BigInt(mtimes[i]!) * 1_000_000n, policy: policies[rules[i]!] };
  };
  return {
    count: () => count,
    at,
    find(key) {
      const taken = slots[slotOf(slots, key)]!;
      return taken === 0 ? undefined : at(taken - 1);
    },
    add(key, mtimeNs, policy) {
      const number = policyNumber(policy);
      const mtime = msOf(mtimeNs);
      const slot = slotOf(slots, key);
      const taken = slots[slot]!;
      if (taken !== 0) {
        const { mtimes, rules } = pieceOf(taken - 1);
        const i = (taken - 1) & PIECE_MASK;
        if (mtime > mtimes[i]!) mtimes[i] = mtime;
        rules[i] = stricter(rules[i]!, number);
        return;
      }
      if ((count & PIECE_MASK) === 0)
        pieces.push({
          keys: new Float64Array(PIECE_ROWS),
          mtimes: new Float64Array(PIECE_ROWS),
          rules: new Uint16Array(PIECE_ROWS),
        });
      const { keys, mtimes, rules } = pieceOf(count);
      const i = count & PIECE_MASK;
      keys[i] = key;
      mtimes[i] = mtime;
      rules[i] = number;
      slots[slot] = ++count;
      if (count > slots.length * FULL_PART) grow();
    },
  };
}

/** Exact for every time that a file can have; never older than the file is. */
function msOf(ns: bigint): number {
  return Math.min(Number.MAX_SAFE_INTEGER, Math.max(Number.MIN_SAFE_INTEGER, Math.ceil(Number(ns) / 1e6)));
}

/** As `key48` of the index. */
export function ageKeyOf(id: ChunkId): number {
  return ((id[0]! << 16) | (id[1]! << 8) | id[2]!) * 0x1000000 + ((id[3]! << 16) | (id[4]! << 8) | id[5]!);
}
