/**
 * Cache rows of several folders in one piece of memory, on their way to a worker. For each folder: the lengths of path and row (u32 each, in the
 * machine's byte order), the path, zeros to a multiple of 4, and the row.
 */
import { asBuffer } from '../core/bytes.ts';

export class FolderRowsWriter {
  #bytes = Buffer.allocUnsafeSlow(32 * 1024);
  #at = 0;

  get length(): number {
    return this.#at;
  }

  add(path: Uint8Array, row: Uint8Array): void {
    const rowAt = this.#at + 8 + roundedUp(path.length);
    const end = rowAt + roundedUp(row.length);
    if (end > this.#bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(this.#bytes.length * 4, end));
      this.#bytes.copy(grown, 0, 0, this.#at);
      this.#bytes = grown;
    }
    this.#bytes.writeUInt32LE(path.length, this.#at);
    this.#bytes.writeUInt32LE(row.length, this.#at + 4);
    this.#bytes.set(path, this.#at + 8);
    this.#bytes.set(row, rowAt);
    this.#at = end;
  }

  /** What was added, in memory that can be transferred. Nothing may be added after it. */
  take(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#bytes.buffer, 0, this.#at);
  }
}

/** The rows by their folders' paths (as `rowKey`), as views. */
export function readFolderRows(bytes: Uint8Array): Map<string, Uint8Array> {
  const rows = new Map<string, Uint8Array>();
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
  for (let at = 0; at < bytes.length; ) {
    const pathLength = words[at >> 2]!;
    const rowLength = words[(at >> 2) + 1]!;
    const rowAt = at + 8 + roundedUp(pathLength);
    rows.set(rowKey(bytes.subarray(at + 8, at + 8 + pathLength)), bytes.subarray(rowAt, rowAt + rowLength));
    at = rowAt + roundedUp(rowLength);
  }
  return rows;
}

export function rowKey(path: Uint8Array): string {
  return asBuffer(path).toString('latin1');
}

function roundedUp(length: number): number {
  return (length + 3) & ~3;
}
