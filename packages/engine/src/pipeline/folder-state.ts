/**
 * One folder as capture remembers it: for each entry what `stat` said and the encoded tree entry that followed from it. It is the value of a
 * folder-cache row and what scanning and finishing a folder hand to each other. A cache in a format of its own, never leaving the
 * machine: bytes that do not decode mean "not cached".
 *
 *     header   magic 'EFS1', entries u32, pages u32, parts u32; then 32 bytes for each page id
 *     record   name length u16, type u8, flags u8, encoded length u32, stat 48, name, encoded entry, zeros to a multiple of 4
 *     stat     ino u64, size u64, ctime seconds i64 and nanos u32, mtime seconds i64 and nanos u32, device u32 u32
 *
 * Numbers are in the byte order of the machine, so that a stat is compared as twelve words.
 */
import { asBuffer } from '../core/bytes.ts';
import type { EntryType } from '../tree/entry.ts';

const MAGIC = 0x31534645;
export const STATE_HEADER_BYTES = 16;
export const RECORD_HEADER_BYTES = 56;
export const STAT_WORDS = 12;
export const STAT_AT = 8;

export const TYPE_CODES = { file: 1, dir: 2, symlink: 3, fifo: 4, chardev: 5, blockdev: 6 } as const satisfies Record<
  EntryType,
  number
>;

export const StateFlag = {
  /** The stat is not to be trusted: read again whatever it says. */
  stale: 1,
  /** Changed so shortly before the capture that a later change could leave the same times. */
  racy: 2,
  /** More than one hard link. */
  linked: 4,
  /** Only between scan and finish: the file is yet to be read; the encoded entry is the earlier one, or nothing. */
  pending: 8,
} as const;

/** Where one record lies in the state's bytes, and its fixed fields. */
export interface StateRecord {
  /** Offset of the record. */
  at: number;
  /** Offset of what follows it. */
  end: number;
  type: number;
  flags: number;
  nameAt: number;
  encodedAt: number;
  encodedEnd: number;
}

/** Walks the records of a state; undefined from `open` when the bytes are no state of this version. */
export class FolderStateReader {
  readonly bytes: Buffer;
  readonly words: Uint32Array;
  readonly entries: number;
  readonly pages: number;
  /** Rows that the folder is in, this one being the first of them; 1 for most. */
  readonly parts: number;
  /** The record that `next` moved to. One object, used again. */
  readonly record: StateRecord = { at: 0, end: 0, type: 0, flags: 0, nameAt: 0, encodedAt: 0, encodedEnd: 0 };
  #left: number;

  /** Copies the bytes when they do not lie on a word boundary. */
  static open(bytes: Uint8Array): FolderStateReader | undefined {
    const aligned = bytes.byteOffset % 4 === 0 ? bytes : new Uint8Array(bytes);
    if (aligned.length < STATE_HEADER_BYTES || aligned.length % 4 !== 0) return undefined;
    const reader = new FolderStateReader(aligned);
    const [magic, entries, pages] = reader.words;
    if (magic !== MAGIC || STATE_HEADER_BYTES + pages! * 32 + entries! * RECORD_HEADER_BYTES > aligned.length)
      return undefined;
    return reader;
  }

  private constructor(bytes: Uint8Array) {
    this.bytes = asBuffer(bytes);
    this.words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
    this.entries = this.words[1]!;
    this.pages = this.words[2]!;
    this.parts = Math.max(1, this.words[3]!);
    this.#left = this.entries;
    this.record.end = STATE_HEADER_BYTES + this.pages * 32;
  }

  /** Moves to the next record; false behind the last one, and at bytes that cannot be a record. */
  next(): boolean {
    if (this.#left === 0) return false;
    this.#left--;
    const { record, bytes } = this;
    const at = record.end;
    if (at + RECORD_HEADER_BYTES > bytes.length) return this.#broken();
    record.at = at;
    record.nameAt = at + RECORD_HEADER_BYTES;
    record.encodedAt = record.nameAt + bytes.readUInt16LE(at);
    record.encodedEnd = record.encodedAt + this.words[(at >> 2) + 1]!;
    record.end = (record.encodedEnd + 3) & ~3;
    record.type = bytes[at + 2]!;
    record.flags = bytes[at + 3]!;
    return record.end <= bytes.length || this.#broken();
  }

  name(): Buffer {
    return this.bytes.subarray(this.record.nameAt, this.record.encodedAt);
  }

  encoded(): Buffer {
    return this.bytes.subarray(this.record.encodedAt, this.record.encodedEnd);
  }

  /** Ids of the pages that the folder was stored as. */
  pageIds(): Uint8Array[] {
    return Array.from({ length: this.pages }, (_, i) => {
      const at = STATE_HEADER_BYTES + i * 32;
      return new Uint8Array(this.bytes.subarray(at, at + 32));
    });
  }

  /** The same in one piece, in memory of its own. */
  pageBytes(): Uint8Array {
    return new Uint8Array(this.bytes.subarray(STATE_HEADER_BYTES, STATE_HEADER_BYTES + this.pages * 32));
  }

  #broken(): boolean {
    this.#left = 0;
    return false;
  }
}

/** Builds a state record by record, in memory that is used again for the next one. */
export class FolderStateWriter {
  #bytes = Buffer.allocUnsafeSlow(64 * 1024);
  #words = new Uint32Array(this.#bytes.buffer);
  #at = 0;
  #entries = 0;

  get entries(): number {
    return this.#entries;
  }

  start(pageIds: readonly Uint8Array[] = [], parts = 1): void {
    this.#at = 0;
    this.#entries = 0;
    this.#reserve(STATE_HEADER_BYTES + pageIds.length * 32);
    this.#words[0] = MAGIC;
    this.#words[2] = pageIds.length;
    this.#words[3] = parts;
    this.#at = STATE_HEADER_BYTES;
    for (const id of pageIds) {
      this.#bytes.set(id, this.#at);
      this.#at += 32;
    }
  }

  /** Adds a record made of a stat (twelve words from `statAt` of `stat`), a name and an encoded entry. Returns its offset. */
  add(
    type: number,
    flags: number,
    stat: Uint32Array,
    statAt: number,
    name: Uint8Array,
    encoded: Uint8Array | undefined,
  ): number {
    const encodedLength = encoded?.length ?? 0;
    const length = (RECORD_HEADER_BYTES + name.length + encodedLength + 3) & ~3;
    this.#reserve(length);
    const at = this.#at;
    const word = at >> 2;
    this.#words[word] = name.length | (type << 16) | (flags << 24);
    this.#words[word + 1] = encodedLength;
    for (let i = 0; i < STAT_WORDS; i++) this.#words[word + 2 + i] = stat[statAt + i]!;
    this.#words[(at + length - 4) >> 2] = 0;
    this.#bytes.set(name, at + RECORD_HEADER_BYTES);
    if (encoded !== undefined) this.#bytes.set(encoded, at + RECORD_HEADER_BYTES + name.length);
    this.#at += length;
    this.#entries++;
    return at;
  }

  /** Adds whole records as they are. */
  copy(from: Buffer, start: number, end: number, entries: number): void {
    this.#reserve(end - start);
    from.copy(this.#bytes, this.#at, start, end);
    this.#at += end - start;
    this.#entries += entries;
  }

  /** The state in memory of its own. */
  take(): Uint8Array<ArrayBuffer> {
    this.#words[1] = this.#entries;
    const out = new Uint8Array(this.#at);
    out.set(this.#bytes.subarray(0, this.#at));
    return out;
  }

  #reserve(length: number): void {
    if (this.#at + length <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(this.#bytes.length * 2, (this.#at + length + 4095) & ~4095));
    this.#bytes.copy(grown, 0, 0, this.#at);
    this.#bytes = grown;
    this.#words = new Uint32Array(grown.buffer);
  }
}

/** Whether two stats of twelve words are the same. */
export function statEquals(a: Uint32Array, aAt: number, b: Uint32Array, bAt: number): boolean {
  for (let i = 0; i < STAT_WORDS; i++) if (a[aAt + i] !== b[bAt + i]) return false;
  return true;
}

/** Puts a `struct statx` (as 64 words) into the twelve words of a state's stat. */
export function statFromStatx(statx: Uint32Array, into: Uint32Array): void {
  for (let i = 0; i < 4; i++) into[i] = statx[8 + i]!;
  for (let i = 0; i < 3; i++) {
    into[4 + i] = statx[24 + i]!;
    into[7 + i] = statx[28 + i]!;
  }
  into[10] = statx[34]!;
  into[11] = statx[35]!;
}

/** Seconds before the start of a capture in which a change makes an entry racy: file systems with coarse times, clocks that are not quite one. */
const RACY_SECONDS = 2;
/** A modification time further ahead than this was set by someone; a later write would move the change time. */
const AHEAD_SECONDS_MAX = 86_400;

/**
 * True when the entry may change again without its times showing it: its change time, or its modification time where the file system keeps no change
 * time, is not safely before the capture's start (in seconds since 1970).
 */
export function isRacy(stat: Uint32Array, captureSeconds: number): boolean {
  const ctime = secondsAt(stat, 4);
  const mtime = secondsAt(stat, 7);
  const from = captureSeconds - RACY_SECONDS;
  return ctime >= from || (mtime >= from && mtime <= captureSeconds + AHEAD_SECONDS_MAX);
}

/** The size in a state's stat, in bytes. */
export function sizeOf(stat: Uint32Array, at: number): number {
  return stat[at + 2]! + stat[at + 3]! * 2 ** 32;
}

/** Device and inode of a state's stat, as a key. */
export function inodeKey(stat: Uint32Array, at: number): string {
  return `${stat[at + 10]}:${stat[at + 11]}:${stat[at + 1]}:${stat[at]}`;
}

function secondsAt(stat: Uint32Array, at: number): number {
  return (stat[at + 1]! | 0) * 2 ** 32 + stat[at]!;
}
