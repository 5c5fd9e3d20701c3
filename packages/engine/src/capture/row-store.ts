/**
 * New cache rows of a capture, held back until its record is durable: a row says "this file is stored", and only a recorded snapshot makes that last.
 * Many rows are parked in the index itself under another name, where no capture looks.
 */
import type { FolderCache } from '../core/ports/index.ts';
import { joinPath } from '../files/path-bytes.ts';
import { partKey } from './earlier-rows.ts';

/** Bytes of rows kept in memory. */
const MEMORY_BYTES_MAX = 16 << 20;
/** Bytes of rows in one transaction. */
const PUT_BYTES_MAX = 8 << 20;

export class RowStore {
  readonly #folders: FolderCache;
  readonly #root: string;
  readonly #parking: string;
  #rows: Row[] = [];
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
    this.#put(this.#root, this.#parkedRows());
    this.discard();
  }

  discard(): void {
    if (this.#parked.length > 0) this.#folders.clear(this.#parking);
    this.#rows = [];
    this.#bytes = 0;
    this.#parked = [];
  }

  *#parkedRows(): Iterable<Row> {
    for (const path of this.#parked) yield { path, value: this.#folders.get(this.#parking, path)!.value };
  }

  #park(): void {
    // What a run that was killed left there is of no use.
    if (this.#parked.length === 0) this.#folders.clear(this.#parking);
    this.#put(this.#parking, this.#rows);
    for (const { path } of this.#rows) this.#parked.push(path);
    this.#rows = [];
    this.#bytes = 0;
  }

  #put(root: string, rows: Iterable<Row>): void {
    let some: Row[] = [];
    let bytes = 0;
    for (const row of rows) {
      some.push(row);
      bytes += row.value.length + ROW_OVERHEAD_BYTES;
      if (bytes < PUT_BYTES_MAX) continue;
      this.#folders.put(root, some);
      some = [];
      bytes = 0;
    }
    if (some.length > 0) this.#folders.put(root, some);
  }
}

interface Row {
  readonly path: Uint8Array;
  readonly value: Uint8Array;
}

/** What a row costs beside its bytes, so that many empty ones are no endless transaction. */
const ROW_OVERHEAD_BYTES = 1024;

/** Removes the rows of a folder and of all below it. */
export function forgetRows(
  folders: FolderCache,
  root: string,
  path: Uint8Array,
  read: { partsInRow(row: Uint8Array): number; foldersInRow(row: Uint8Array): Uint8Array[] },
): void {
  const open = [path];
  const gone: Uint8Array[] = [];
  while (open.length > 0) {
    const next = open.pop()!;
    let parts = 1;
    for (let part = 0; part < parts; part++) {
      const key = partKey(next, part);
      const row = folders.get(root, key);
      if (row === undefined) continue;
      if (part === 0) parts = read.partsInRow(row.value);
      gone.push(key);
      for (const name of read.foldersInRow(row.value)) open.push(joinPath(next, name));
    }
  }
  if (gone.length > 0) folders.delete(root, gone);
}
