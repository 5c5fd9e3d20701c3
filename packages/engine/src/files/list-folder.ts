/** The names in an open folder, as bytes, sorted by memcmp. */
import { asBuffer } from '../core/bytes.ts';
import { lastErrno, libc } from './libc.ts';
import { EINTR, systemError } from './system-error.ts';

const BLOCK_BYTES = 64 * 1024;
const block = Buffer.allocUnsafeSlow(BLOCK_BYTES);

/** All names but `.` and `..`, in byte order. Throws a system error when the listing breaks off: half a folder is no folder. */
export function listFolder(dir: number): Buffer[] {
  return Array.from(listNames(dir));
}

/** Sorted names in a few blocks of memory: a million of them as objects of their own would take ten times as much. */
export class NameList implements Iterable<Buffer> {
  readonly #bytes: Buffer;
  /** Where each name begins in the bytes, in order of the names; its length stands before it in two bytes. */
  readonly #places: Uint32Array;

  constructor(bytes: Buffer, places: Uint32Array) {
    this.#bytes = bytes;
    this.#places = places;
  }

  get length(): number {
    return this.#places.length;
  }

  /** The name at this place, as a view. */
  at(index: number): Buffer {
    return nameAt(this.#bytes, this.#places[index]!);
  }

  has(name: Uint8Array): boolean {
    const at = this.firstAfter(name);
    return at > 0 && this.at(at - 1).equals(name);
  }

  /** Place of the first name greater than this one. */
  firstAfter(name: Uint8Array): number {
    let from = 0;
    let to = this.length;
    while (from < to) {
      const middle = (from + to) >> 1;
      if (this.at(middle).compare(name) <= 0) from = middle + 1;
      else to = middle;
    }
    return from;
  }

  /** The names of places `from` up to, without, `to`. */
  *slice(from: number, to: number): Generator<Buffer> {
    for (let i = from; i < to; i++) yield this.at(i);
  }

  [Symbol.iterator](): Iterator<Buffer> {
    return this.slice(0, this.length);
  }

  static of(names: readonly Uint8Array[]): NameList {
    const bytes = Buffer.alloc(names.reduce((sum, name) => sum + 2 + name.length, 0));
    const places = new Uint32Array(names.length);
    let at = 0;
    for (const [i, name] of names.entries()) {
      bytes.writeUInt16LE(name.length, at);
      bytes.set(name, at + 2);
      places[i] = at + 2;
      at += 2 + name.length;
    }
    return new NameList(bytes, sortPlaces(bytes, places));
  }
}

/** As `listFolder`, in little memory. */
export function listNames(dir: number): NameList {
  let bytes: Buffer = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  let used = 0;
  let places = new Uint32Array(256);
  let count = 0;
  for (;;) {
    const filled = libc.getdents64(dir, block, BLOCK_BYTES);
    if (filled === 0) break;
    if (filled < 0) {
      const errno = lastErrno();
      if (errno === EINTR) continue;
      throw systemError('getdents64', errno);
    }
    if (used + filled > bytes.length) bytes = grown(bytes, used, used + filled);
    for (let at = 0; at < filled; ) {
      const next = at + block.readUInt16LE(at + 16);
      const from = at + 19;
      const to = block.indexOf(0, from);
      at = next;
      const isDots = to - from <= 2 && block[from] === 0x2e && (to - from === 1 || block[from + 1] === 0x2e);
      if (isDots) continue;
      // A record has 19 bytes before its name, so the two of the length always fit.
      bytes.writeUInt16LE(to - from, used);
      block.copy(bytes, used + 2, from, to);
      if (count === places.length) {
        const more = new Uint32Array(places.length * 2);
        more.set(places);
        places = more;
      }
      places[count++] = used + 2;
      used += 2 + to - from;
    }
  }
  return new NameList(bytes, sortPlaces(bytes, places.slice(0, count)));
}

/** True when nothing but `.` and `..` is in the open folder. */
export function folderIsEmpty(dir: number): boolean {
  return listNames(dir).length === 0;
}

/** memcmp order of two names. */
export function compareNames(a: Uint8Array, b: Uint8Array): number {
  return asBuffer(a).compare(b);
}

function nameAt(bytes: Buffer, place: number): Buffer {
  return bytes.subarray(place, place + bytes.readUInt16LE(place - 2));
}

function sortPlaces(bytes: Buffer, places: Uint32Array): Uint32Array {
  const lengthAt = (place: number): number => bytes[place - 2]! | (bytes[place - 1]! << 8);
  return places.sort((a, b) => {
    const [lengthA, lengthB] = [lengthAt(a), lengthAt(b)];
    const common = Math.min(lengthA, lengthB);
    for (let i = 0; i < common; i++) {
      const difference = bytes[a + i]! - bytes[b + i]!;
      if (difference !== 0) return difference;
    }
    return lengthA - lengthB;
  });
}

function grown(bytes: Buffer, used: number, needed: number): Buffer {
  const larger = Buffer.allocUnsafeSlow(Math.max(bytes.length * 2, needed));
  bytes.copy(larger, 0, 0, used);
  return larger;
}
