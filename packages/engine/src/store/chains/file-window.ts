/** Reads a file from front to back through a window of bounded size: no chain file is ever in memory as a whole. */
import { type FileHandle, open } from 'node:fs/promises';
import { errnoOf, toEdgeError } from '../../core/errors.ts';
import { KIB } from '../../core/limits.ts';

const WINDOW_BYTES = 256 * KIB;

export class FileWindow {
  readonly path: string;
  readonly size: number;
  readonly #file: FileHandle;
  #start = 0;
  #bytes: Buffer = Buffer.alloc(0);

  private constructor(path: string, file: FileHandle, size: number) {
    this.path = path;
    this.#file = file;
    this.size = size;
  }

  /** Undefined when the file is not there. */
  static async open(path: string): Promise<FileWindow | undefined> {
    try {
      const file = await open(path, 'r');
      try {
        return new FileWindow(path, file, (await file.stat()).size);
      } catch (error) {
        await file.close();
        throw error;
      }
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw toEdgeError(error, `reading ${path}`);
    }
  }

  /** A view that is valid until the next call; shorter where the file ends. */
  async at(offset: number, length: number): Promise<Buffer> {
    const end = Math.min(offset + length, this.size);
    if (offset >= end) return Buffer.alloc(0);
    const isIn = offset >= this.#start && end <= this.#start + this.#bytes.length;
    if (!isIn) await this.#fill(offset, Math.min(Math.max(length, WINDOW_BYTES), this.size - offset));
    return this.#bytes.subarray(offset - this.#start, Math.max(0, end - this.#start));
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  async #fill(offset: number, length: number): Promise<void> {
    const bytes = this.#bytes.length === length ? this.#bytes : Buffer.allocUnsafe(length);
    let done = 0;
    try {
      while (done < length) {
        const { bytesRead } = await this.#file.read(bytes, done, length - done, offset + done);
        if (bytesRead === 0) break;
        done += bytesRead;
      }
    } catch (error) {
      throw toEdgeError(error, `reading ${this.path}`);
    }
    this.#start = offset;
    this.#bytes = bytes.subarray(0, done);
  }
}
