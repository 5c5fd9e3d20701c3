/**
 * Writes deterministic CBOR (RFC 8949, section 4.2.1) of the fixed shapes of trees and records. By hand, because a general encoder is several
 * times too slow for folders of tens of thousands of entries; tests hold it equal to cborg. The caller writes map keys in order.
 */
const START_BYTES = 4096;
const TWO_POW_32 = 0x1_0000_0000;
const encoder = new TextEncoder();

export class CborWriter {
  #buffer = new Uint8Array(START_BYTES);
  #at = 0;

  /** Bytes written so far. */
  get length(): number {
    return this.#at;
  }

  /** A whole number, -(2^53-1) to 2^53-1. */
  int(value: number): this {
    if (!Number.isSafeInteger(value)) throw new RangeError(`not a whole number that fits: ${value}`);
    if (value >= 0) this.#head(0, value);
    else this.#head(0x20, -1 - value);
    return this;
  }

  bytes(value: Uint8Array): this {
    this.#head(0x40, value.length);
    return this.raw(value);
  }

  /** The head of a byte string of so many bytes; they follow by `raw`. */
  bytesHead(length: number): this {
    this.#head(0x40, length);
    return this;
  }

  text(value: string): this {
    const utf8 = encoder.encode(value);
    this.#head(0x60, utf8.length);
    return this.raw(utf8);
  }

  /** The head of an array; its elements follow. */
  array(length: number): this {
    this.#head(0x80, length);
    return this;
  }

  /** The head of a map; its keys, ascending, and values follow. */
  map(length: number): this {
    this.#head(0xa0, length);
    return this;
  }

  bool(value: boolean): this {
    this.#reserve(1);
    this.#buffer[this.#at++] = value ? 0xf5 : 0xf4;
    return this;
  }

  /** Bytes that are encoded already. */
  raw(encoded: Uint8Array): this {
    const { length } = encoded;
    this.#reserve(length);
    const buffer = this.#buffer;
    // A call of `set` costs more than a short loop.
    if (length > 24) buffer.set(encoded, this.#at);
    else for (let i = 0, at = this.#at; i < length; i++) buffer[at + i] = encoded[i]!;
    this.#at += length;
    return this;
  }

  /** Forgets what was written. */
  reset(): void {
    this.#at = 0;
  }

  /** A copy of what was written; the writer is empty again and keeps its memory. */
  take(): Uint8Array {
    const out = this.#buffer.slice(0, this.#at);
    this.#at = 0;
    return out;
  }

  #head(major: number, value: number): void {
    this.#reserve(9);
    const buffer = this.#buffer;
    let at = this.#at;
    if (value < 24) {
      buffer[at++] = major | value;
    } else if (value < 0x100) {
      buffer[at++] = major | 24;
      buffer[at++] = value;
    } else if (value < 0x1_0000) {
      buffer[at++] = major | 25;
      buffer[at++] = value >>> 8;
      buffer[at++] = value;
    } else if (value < TWO_POW_32) {
      buffer[at++] = major | 26;
      at = this.#u32(at, value);
    } else {
      buffer[at++] = major | 27;
      at = this.#u32(at, Math.floor(value / TWO_POW_32));
      at = this.#u32(at, value % TWO_POW_32);
    }
    this.#at = at;
  }

  #u32(at: number, value: number): number {
    const buffer = this.#buffer;
    buffer[at] = value >>> 24;
    buffer[at + 1] = value >>> 16;
    buffer[at + 2] = value >>> 8;
    buffer[at + 3] = value;
    return at + 4;
  }

  #reserve(more: number): void {
    const needed = this.#at + more;
    if (needed <= this.#buffer.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#buffer.length * 2));
    grown.set(this.#buffer.subarray(0, this.#at));
    this.#buffer = grown;
  }
}
