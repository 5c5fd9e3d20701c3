/** Cuts streams into chunks where their content says so: keyed FastCDC in a WASM kernel. See docs/formats/chunking.md. */
import { EdgeError } from '../core/errors.ts';
import { MIB } from '../core/limits.ts';
import { createGearTable } from './gear-table.ts';
import { instantiateKernel, type KernelMemory, PAGE_BYTES } from './kernel-instance.ts';
import { cutMasks } from './masks.ts';
import { type ChunkerParams, problemOfChunkerParams } from './params.ts';

/** One thread's chunker. It keeps no state between calls but its memory. */
export interface Chunker {
  readonly params: ChunkerParams;
  /**
   * At least `length` bytes of the kernel's own memory: read a file straight into them and pass them to `cutAll`, which then copies
   * nothing. Views given out earlier are dead when the memory had to grow, so ask for the largest length first.
   */
  input(length: number): Uint8Array;
  /**
   * Cuts the first `length` bytes of the buffer, which begin where a chunk begins. Writes the end offset of each chunk to `out` and
   * returns how many. With `isLast` the stream ends there and everything is cut; without it the bytes after the last cut (fewer than
   * `params.max`) have to be given again, followed by more. Stops early only when `out` is full.
   */
  cutAll(buffer: Uint8Array, length: number, isLast: boolean, out: Uint32Array): number;
  /** The end offset of the chunk that begins at `start`, looking no further than `end`; 0 when more data is needed to tell. */
  cut(buffer: Uint8Array, start: number, end: number, isLast: boolean): number;
}

const GEAR_AT = 0;
const GEAR_SHIFTED_AT = 2048;
const CUTS_AT = 4096;
const CUTS_MAX = 16_384;
const INPUT_AT = 2 * PAGE_BYTES;
/** A foreign buffer is copied in pieces of this size at most, so that the kernel's memory stays small. */
const COPY_BYTES = 4 * MIB;

/**
 * @param secret the vault's chunker secret, 32 bytes
 * @throws E_FORMAT for lengths that no vault can have
 */
export function createChunker(secret: Uint8Array, params: ChunkerParams): Chunker {
  const problem = problemOfChunkerParams(params);
  if (problem !== undefined) throw new EdgeError('E_FORMAT', problem);
  const { min, avg, max } = params;
  const masks = cutMasks(params);
  const { kernel, memory } = instantiateKernel(INPUT_AT / PAGE_BYTES);
  writeTables(memory, createGearTable(secret));

  const reserve = (length: number): void => {
    const missing = INPUT_AT + length - memory.buffer.byteLength;
    if (missing > 0) memory.grow(Math.ceil(missing / PAGE_BYTES));
  };

  /** Cuts bytes that lie in the kernel's memory; at most `CUTS_MAX` chunks. */
  const cutInMemory = (at: number, length: number, isLast: boolean, outMax: number): Uint32Array => {
    const limit = Math.min(outMax, CUTS_MAX);
    const count = kernel.cutAll(at, length, isLast ? 1 : 0, min, avg, max, masks.hard, masks.easy, CUTS_AT, limit);
    return new Uint32Array(memory.buffer, CUTS_AT, count);
  };

  /** A piece of the buffer as the kernel sees it: where it is when it lies there already, else a copy. */
  const place = (buffer: Uint8Array, from: number, to: number): number => {
    if (buffer.buffer === memory.buffer) return buffer.byteOffset + from;
    reserve(to - from);
    new Uint8Array(memory.buffer, INPUT_AT, to - from).set(buffer.subarray(from, to));
    return INPUT_AT;
  };

  return {
    params,
    input(length) {
      reserve(length);
      return new Uint8Array(memory.buffer, INPUT_AT, length);
    },
    cutAll(buffer, length, isLast, out) {
      checkRange(buffer, 0, length);
      const pieceBytes = buffer.buffer === memory.buffer ? length : Math.max(COPY_BYTES, 2 * max);
      let start = 0;
      let count = 0;
      while (start < length && count < out.length) {
        if (length - start <= min) {
          // Most files are shorter than the shortest chunk and need no kernel.
          if (isLast) out[count++] = length;
          break;
        }
        const end = Math.min(length, start + pieceBytes);
        const endsHere = isLast && end === length;
        const cuts = cutInMemory(place(buffer, start, end), end - start, endsHere, out.length - count);
        if (cuts.length === 0) break;
        for (const cut of cuts) out[count++] = start + cut;
        start = out[count - 1]!;
      }
      return count;
    },
    cut(buffer, start, end, isLast) {
      checkRange(buffer, start, end);
      if (end - start <= min) return isLast ? end : 0;
      // No chunk is longer than max, so what comes after cannot matter.
      const to = Math.min(end, start + max);
      const cuts = cutInMemory(place(buffer, start, to), to - start, isLast, 1);
      return cuts.length === 0 ? 0 : start + cuts[0]!;
    },
  };
}

function writeTables(memory: KernelMemory, gear: BigUint64Array): void {
  const view = new DataView(memory.buffer);
  gear.forEach((value, index) => {
    view.setBigUint64(GEAR_AT + index * 8, value, true);
    view.setBigUint64(GEAR_SHIFTED_AT + index * 8, BigInt.asUintN(64, value << 1n), true);
  });
}

/** The kernel reads where it is told to, so a range is never taken on trust. */
function checkRange(buffer: Uint8Array, start: number, end: number): void {
  if (!(Number.isInteger(start) && Number.isInteger(end) && start >= 0 && start <= end && end <= buffer.length)) {
    throw new EdgeError('E_FAILED', `the range ${start} to ${end} is outside a buffer of ${buffer.length} bytes`);
  }
}
