/**
 * Reads deterministic CBOR (RFC 8949, section 4.2.1) strictly: definite lengths, shortest integers, no tags, no floats. Whatever does not fit is
 * an E_FORMAT that names the structure and the byte. Lengths are compared with what is left before anything is allocated.
 *
 * Byte strings come out as copies with memory of their own. Nearly all of them are names and ids, which are as cheap to copy as to view, and
 * a kept view of 16 bytes would keep a whole page of a megabyte alive.
 */
import { type EdgeError, formatError } from '../core/errors.ts';

const TWO_POW_32 = 0x1_0000_0000;
const HIGH_WORD_MAX = 0x1f_ffff;
/** Nesting of values that are skipped because their key is unknown. */
const SKIP_DEPTH_MAX = 32;
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export class CborReader {
  readonly #bytes: Uint8Array;
  readonly #what: string;
  #at = 0;

  constructor(bytes: Uint8Array, what: string) {
    // Not a Buffer, whose `slice` would be a view.
    this.#bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#what = what;
  }

  get offset(): number {
    return this.#at;
  }

  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  /** A whole number from -(2^53-1) to 2^53-1. */
  int(): number {
    const major = this.#peek() & 0xe0;
    if (major === 0) return this.#argument(0);
    const value = -1 - this.#argument(0x20);
    if (!Number.isSafeInteger(value)) throw this.error('a number is too large');
    return value;
  }

  /** A whole number from 0 to `max`. */
  uint(max: number = Number.MAX_SAFE_INTEGER): number {
    const value = this.#argument(0);
    if (value > max) throw this.error(`${value} is more than ${max}`);
    return value;
  }

  /** A copy of a byte string of at most `max` bytes. */
  bytes(max: number = Number.MAX_SAFE_INTEGER): Uint8Array {
    const length = this.#argument(0x40);
    const start = this.#advance(length, max);
    return copyOf(this.#bytes, start, start + length);
  }

  /** A byte string as a view, for what is taken apart at once and not kept. */
  view(max: number = Number.MAX_SAFE_INTEGER): Uint8Array {
    const length = this.#argument(0x40);
    const start = this.#advance(length, max);
    return this.#bytes.subarray(start, start + length);
  }

  /** UTF-8 text of at most `max` bytes. */
  text(max: number = Number.MAX_SAFE_INTEGER): string {
    const length = this.#argument(0x60);
    const start = this.#advance(length, max);
    try {
      return decoder.decode(this.#bytes.subarray(start, start + length));
    } catch (cause) {
      if (!(cause instanceof TypeError)) throw cause;
      throw this.error('text is not UTF-8');
    }
  }

  /** The number of elements of an array; each has at least one byte, so it is no more than what is left. */
  array(max: number = Number.MAX_SAFE_INTEGER): number {
    const length = this.#argument(0x80);
    if (length > max || length > this.remaining) throw this.error(`an array of ${length} elements`);
    return length;
  }

  /** The number of pairs of a map. */
  map(max: number = Number.MAX_SAFE_INTEGER): number {
    const length = this.#argument(0xa0);
    if (length > max || length * 2 > this.remaining) throw this.error(`a map of ${length} pairs`);
    return length;
  }

  bool(): boolean {
    const byte = this.#peek();
    if (byte !== 0xf4 && byte !== 0xf5) throw this.error('true or false wanted');
    this.#at++;
    return byte === 0xf5;
  }

  /** The encoded bytes (a copy) of the next value, whatever it is; it must be well-formed and deterministic in its lengths. */
  raw(): Uint8Array {
    const start = this.#at;
    this.#skip(0);
    return this.#bytes.slice(start, this.#at);
  }

  /** Fails unless everything was read. */
  end(): void {
    if (this.remaining !== 0) throw this.error(`${this.remaining} bytes too many`);
  }

  /** An E_FORMAT at this place. */
  error(problem: string): EdgeError {
    return formatError(this.#what, `${problem} (at byte ${this.#at})`);
  }

  #peek(): number {
    if (this.#at >= this.#bytes.length) throw this.error('it is cut short');
    return this.#bytes[this.#at]!;
  }

  #advance(length: number, max: number): number {
    if (length > max) throw this.error(`${length} bytes where at most ${max} may be`);
    if (length > this.remaining) throw this.error(`${length} bytes wanted, ${this.remaining} left`);
    const start = this.#at;
    this.#at += length;
    return start;
  }

  #argument(major: number): number {
    const bytes = this.#bytes;
    const first = this.#peek();
    if ((first & 0xe0) !== major) throw this.error(`major type ${first >> 5} where ${major >> 5} is wanted`);
    const info = first & 0x1f;
    if (info < 24) {
      this.#at++;
      return info;
    }
    const width = info === 24 ? 1 : info === 25 ? 2 : info === 26 ? 4 : info === 27 ? 8 : 0;
    if (width === 0) throw this.error('an indefinite or reserved length');
    if (this.remaining < 1 + width) throw this.error('it is cut short');
    const at = this.#at + 1;
    let value: number;
    if (width === 1) {
      value = bytes[at]!;
      if (value < 24) throw this.error('a number is not in its shortest form');
    } else if (width === 2) {
      value = (bytes[at]! << 8) | bytes[at + 1]!;
      if (value < 0x100) throw this.error('a number is not in its shortest form');
    } else {
      value = this.#u32(at);
      if (width === 4) {
        if (value < 0x1_0000) throw this.error('a number is not in its shortest form');
      } else {
        if (value === 0) throw this.error('a number is not in its shortest form');
        if (value > HIGH_WORD_MAX) throw this.error('a number is too large');
        value = value * TWO_POW_32 + this.#u32(at + 4);
      }
    }
    this.#at = at + width;
    return value;
  }

  #u32(at: number): number {
    const bytes = this.#bytes;
    return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
  }

  #skip(depth: number): void {
    if (depth > SKIP_DEPTH_MAX) throw this.error('values are nested too deeply');
    const major = this.#peek() & 0xe0;
    if (major === 0xe0) {
      this.bool();
    } else if (major === 0xc0) {
      throw this.error('tags are not used here');
    } else {
      const value = this.#argument(major);
      if (major === 0x40 || major === 0x60) this.#advance(value, Number.MAX_SAFE_INTEGER);
      const values = major === 0x80 ? value : major === 0xa0 ? value * 2 : 0;
      if (values > this.remaining) throw this.error(`${values} values claimed, ${this.remaining} bytes left`);
      for (let i = 0; i < values; i++) this.#skip(depth + 1);
    }
  }
}

/** A copy with memory of its own. For names and ids a loop into a new array is faster than `slice`. */
export function copyOf(bytes: Uint8Array, start: number, end: number): Uint8Array {
  if (end - start > 64) return new Uint8Array(bytes.subarray(start, end));
  const out = new Uint8Array(end - start);
  for (let from = start, to = 0; from < end; from++, to++) out[to] = bytes[from]!;
  return out;
}
