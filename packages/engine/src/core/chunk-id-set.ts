/** A set of chunk ids: some 45 bytes of memory for each where a set of strings takes a hundred and more, and no object to make for a look. */
import type { ChunkId } from './ids.ts';

const ID_BYTES = 32;
const SLOTS_MIN = 256;

export class ChunkIdSet {
  /** The ids one after the other, in the order in which they came. */
  #ids = Buffer.allocUnsafe((SLOTS_MIN / 2) * ID_BYTES);
  /** Open addressing: the number of an id plus one, 0 where there is none. At most half of the slots are taken. */
  #slots = new Uint32Array(SLOTS_MIN);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The id is the 32 bytes from `at` on. */
  has(bytes: ChunkId, at = 0): boolean {
    return this.#slots[this.#find(bytes, at)] !== 0;
  }

  /** True when it was not there before. The id is copied. */
  add(bytes: ChunkId, at = 0): boolean {
    const slot = this.#find(bytes, at);
    if (this.#slots[slot] !== 0) return false;
    const from = this.#size * ID_BYTES;
    for (let i = 0; i < ID_BYTES; i++) this.#ids[from + i] = bytes[at + i]!;
    this.#slots[slot] = ++this.#size;
    if (this.#size * 2 >= this.#slots.length) this.#grow();
    return true;
  }

  /** Copies of at most so many ids, in the order in which they came. */
  slice(from: number, count: number): ChunkId[] {
    const end = Math.min(this.#size, from + count);
    const ids: ChunkId[] = [];
    for (let i = from; i < end; i++) ids.push(new Uint8Array(this.#ids.subarray(i * ID_BYTES, (i + 1) * ID_BYTES)));
    return ids;
  }

  clear(): void {
    this.#ids = Buffer.allocUnsafe((SLOTS_MIN / 2) * ID_BYTES);
    this.#slots = new Uint32Array(SLOTS_MIN);
    this.#size = 0;
  }

  /** The slot that the id is in, or would be. */
  #find(bytes: Uint8Array, at: number): number {
    const mask = this.#slots.length - 1;
    for (let slot = hashOf(bytes, at) & mask; ; slot = (slot + 1) & mask) {
      const number = this.#slots[slot]!;
      if (number === 0 || this.#isAt((number - 1) * ID_BYTES, bytes, at)) return slot;
    }
  }

  #isAt(from: number, bytes: Uint8Array, at: number): boolean {
    for (let i = 0; i < ID_BYTES; i++) if (this.#ids[from + i] !== bytes[at + i]) return false;
    return true;
  }

  #grow(): void {
    const ids = Buffer.allocUnsafeSlow(this.#ids.length * 2);
    this.#ids.copy(ids);
    this.#ids = ids;
    this.#slots = new Uint32Array(this.#slots.length * 2);
    const mask = this.#slots.length - 1;
    for (let number = 1; number <= this.#size; number++) {
      let slot = hashOf(ids, (number - 1) * ID_BYTES) & mask;
      while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
      this.#slots[slot] = number;
    }
  }
}

/** Ids are keyed hashes: any bytes of them will do. */
function hashOf(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}
