/** The cache rows of a folder in parts, loaded one after the other as the parts are scanned. */
import { asBuffer } from '../core/bytes.ts';
import { FolderStateReader } from '../pipeline/folder-state.ts';
import type { NameRange } from '../pipeline/scan-types.ts';
import { compareNames } from '../tree/compare-names.ts';

export interface EarlierRow {
  readonly row: Uint8Array;
  /** Which part it was of; undefined for one made from an earlier snapshot's pages. */
  readonly part: number | undefined;
  /** What it names is known to be stored. */
  readonly trusted: boolean;
  /** That had to be checked. */
  readonly recheck: boolean;
}

interface LoadedRow extends EarlierRow {
  readonly first: Uint8Array;
  readonly last: Uint8Array;
}

export class EarlierRows {
  /** How many rows the folder has in the cache. */
  readonly parts: number;
  readonly #sources: readonly (() => Promise<EarlierRow | undefined>)[];
  #next = 0;
  #loaded: LoadedRow[] = [];

  constructor(parts: number, sources: readonly (() => Promise<EarlierRow | undefined>)[]) {
    this.parts = parts;
    this.#sources = sources;
  }

  /** The rows that have names in the range. Ranges are asked for in order. */
  async overlapping({ after, upTo }: NameRange): Promise<readonly EarlierRow[]> {
    if (after !== undefined) this.#loaded = this.#loaded.filter(({ last }) => compareNames(last, after) > 0);
    while (this.#next < this.#sources.length) {
      const end = this.#loaded.at(-1)?.last;
      if (end !== undefined && upTo !== undefined && compareNames(end, upTo) >= 0) break;
      const row = await this.#sources[this.#next++]!();
      const names = row === undefined ? undefined : endsOf(row.row);
      if (row === undefined || names === undefined) continue;
      if (after === undefined || compareNames(names.last, after) > 0) this.#loaded.push({ ...row, ...names });
    }
    return this.#loaded.filter(({ first }) => upTo === undefined || compareNames(first, upTo) <= 0);
  }
}

/** Its first and last names; undefined for a row without entries, or one that does not decode. */
function endsOf(row: Uint8Array): { readonly first: Uint8Array; readonly last: Uint8Array } | undefined {
  const state = FolderStateReader.open(row);
  if (state === undefined || !state.next()) return undefined;
  const first = new Uint8Array(state.name());
  let last = { from: state.record.nameAt, to: state.record.encodedAt };
  while (state.next()) last = { from: state.record.nameAt, to: state.record.encodedAt };
  return { first, last: new Uint8Array(state.bytes.subarray(last.from, last.to)) };
}

/** The key of a part's cache row: the first has the folder's own path, the others a number behind a byte that no path has. */
export function partKey(path: Uint8Array, part: number): Uint8Array {
  return part === 0 ? path : Buffer.concat([path, Buffer.from(`\0${part}`)]);
}

/** The rows of a folder, of which this is the first. */
export function partsInRow(row: Uint8Array): number {
  return FolderStateReader.open(asBuffer(row))?.parts ?? 1;
}
