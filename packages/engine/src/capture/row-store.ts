/**
 * New cache rows of a capture, held back until its record is durable: a row says "this file is stored", and only a recorded snapshot makes that last.
 * Many rows are parked in the index itself under another name, where no capture looks.
 */
import type { FolderCache } from '../core/ports/index.ts';
import { joinPath } from '../files/path-bytes.ts';

/** Bytes of rows kept in memory. */
const MEMORY_BYTES_MAX = 24 << 20;
const PUT_ROWS_MAX = 2000;

export class RowStore {
  readonly #folders: FolderCache;
  readonly #root: string;
  readonly #parking: string;
  #rows: { readonly path: Uint8Array; readonly value: Uint8Array }[] = [];
  #bytes = 0;
  #parked: Uint8Array[] = [];

  constructor(folders: FolderCache, root: string) {
    this.#folders = folders;
    this.#root = root;
    this.#parking = `${root}\0parked`;
  }

  add(path: Uint8Array, value: Uint8Array): void {
    this.#rows.push({ path, value });
    this.#bytes += value.length;
    if (this.#bytes > MEMORY_BYTES_MAX) this.#park();
  }

  /** Puts all rows in place, after the record that they belong to. */
  commit(): void {
    this.#put(this.#root, this.#rows);
    for (let at = 0; at < this.#parked.length; at += PUT_ROWS_MAX) {
      const paths = this.#parked.slice(at, at + PUT_ROWS_MAX);
      const rows = paths.flatMap((path) => {
        const value = this.#folders.get(this.#parking, path)?.value;
        return value === undefined ? [] : [{ path, value }];
      });
      this.#folders.put(this.#root, rows);
    }
    this.discard();
  }

  discard(): void {
    if (this.#parked.length > 0) this.#folders.clear(this.#parking);
    this.#rows = [];
    this.#bytes = 0;
    this.#parked = [];
  }

  #park(): void {
    this.#put(this.#parking, this.#rows);
    for (const { path } of this.#rows) this.#parked.push(path);
    this.#rows = [];
    this.#bytes = 0;
  }

  #put(root: string, rows: readonly { readonly path: Uint8Array; readonly value: Uint8Array }[]): void {
    for (let at = 0; at < rows.length; at += PUT_ROWS_MAX) this.#folders.put(root, rows.slice(at, at + PUT_ROWS_MAX));
  }
}

/** Removes the rows of a folder and of all below it. */
export function forgetRows(
  folders: FolderCache,
  root: string,
  path: Uint8Array,
  dirsOf: (row: Uint8Array) => Uint8Array[],
): void {
  const open = [path];
  const gone: Uint8Array[] = [];
  while (open.length > 0) {
    const next = open.pop()!;
    const row = folders.get(root, next);
    if (row === undefined) continue;
    gone.push(next);
    for (const name of dirsOf(row.value)) open.push(joinPath(next, name));
  }
  if (gone.length > 0) folders.delete(root, gone);
}
