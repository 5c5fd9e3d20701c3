/**
 * The kernel keeps a file in pages and folios, and forgets only those that lie wholly in the range that it is given.
 */

/** No folio of the page cache is larger, and each begins at a multiple of its size. */
const FOLIO_BYTES_MAX = 2 * 1024 * 1024;

/**
 * The range, wide enough that no folio which it touches is only partly in it. Such a one would stay, and be read from
 * memory.
 */
export function wholeFolios(offset: number, length: number): { readonly offset: number; readonly length: number } {
  const start = offset - (offset % FOLIO_BYTES_MAX);
  return { offset: start, length: Math.ceil((offset + length) / FOLIO_BYTES_MAX) * FOLIO_BYTES_MAX - start };
}
