/** Bounded reading and writing of little-endian binary structures, and small byte helpers. */
import { formatError } from './errors.ts';

/** A view of the same memory as a Buffer, without a copy. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function bytesEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && asBuffer(a).equals(b);
}

/**
 * A digest that was asked for as latin1 text, as bytes in memory of their own. For digests by the thousand: the runtime gives out bytes only with a
 * buffer outside the heap each, which costs more than hashing a small chunk, while so short an array lies on the heap.
 */
export function bytesOfLatin1(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
  return bytes;
}

export function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(parts);
}

/**
 * Reads fields one after the other; each read past the end is an E_FORMAT that names the structure.
 * Returned byte fields are views, not copies.
 */
export class ByteReader {
  readonly #buffer: Buffer;
  readonly #what: string;
  #at = 0;

  constructor(bytes: Uint8Array, what: string) {
    this.#buffer = asBuffer(bytes);
    this.#what = what;
  }

  get offset(): number {
    return this.#at;
  }

  get remaining(): number {
    return this.#buffer.length - this.#at;
  }

  bytes(length: number): Uint8Array {
    return this.#take(length);
  }

  u8(): number {
    return this.#take(1).readUInt8(0);
  }

  u16(): number {
    return this.#take(2).readUInt16LE(0);
  }

  u32(): number {
    return this.#take(4).readUInt32LE(0);
  }

  /** A u64 that must fit a safe integer. */
  u64(): number {
    const value = this.#take(8).readBigUInt64LE(0);
    if (value > BigInt(Number.MAX_SAFE_INTEGER))
      throw formatError(this.#what, `a number is too large at byte ${this.#at - 8}`);
    return Number(value);
  }

  /** Fails unless the next bytes are exactly these. */
  magic(expected: Uint8Array): void {
    if (!this.#take(expected.length).equals(expected))
      throw formatError(this.#what, 'it does not begin with the right magic bytes');
  }

  /** Fails unless everything was read. */
  end(): void {
    if (this.remaining !== 0) throw formatError(this.#what, `${this.remaining} bytes too many`);
  }

  #take(length: number): Buffer {
    if (length > this.remaining) {
      throw formatError(this.#what, `it ends at byte ${this.#buffer.length}, ${length} bytes wanted at ${this.#at}`);
    }
    const out = this.#buffer.subarray(this.#at, this.#at + length);
    this.#at += length;
    return out;
  }
}

/** Builds a little-endian structure field by field. */
export class ByteWriter {
  readonly #parts: Uint8Array[] = [];

  bytes(value: Uint8Array): this {
    this.#parts.push(value);
    return this;
  }

  u8(value: number): this {
    return this.#int(1, (b) => b.writeUInt8(value));
  }

  u16(value: number): this {
    return this.#int(2, (b) => b.writeUInt16LE(value));
  }

  u32(value: number): this {
    return this.#int(4, (b) => b.writeUInt32LE(value));
  }

  u64(value: number | bigint): this {
    return this.#int(8, (b) => b.writeBigUInt64LE(BigInt(value)));
  }

  finish(): Uint8Array {
    return Buffer.concat(this.#parts);
  }

  #int(length: number, write: (buffer: Buffer) => void): this {
    const buffer = Buffer.alloc(length);
    write(buffer);
    this.#parts.push(buffer);
    return this;
  }
}
