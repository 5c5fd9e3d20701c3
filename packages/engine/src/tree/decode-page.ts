import { newerFormatError } from '../core/errors.ts';
import { TREE_PAGE_BYTES_MAX } from '../core/limits.ts';
import { CborReader } from './cbor-reader.ts';
import { compareNames } from './compare-names.ts';
import { readEntry } from './decode-entry.ts';
import type { Entry } from './entry.ts';
import { TREE_VERSION, UINT32_MAX } from './entry-layout.ts';

/**
 * Reads the plaintext of one tree chunk: entries in order of their names. Every byte string is a copy, so no entry keeps the page alive.
 * E_FORMAT for anything that is not a well-formed page: names that are paths or out of order, contradicting sizes, claims beyond the limits;
 * E_NEWER_FORMAT for a later version. That a folder's pages follow one another in order is for the caller (`checkPageOrder`).
 */
export function decodePage(bytes: Uint8Array): Entry[] {
  const what = 'tree page';
  const reader = new CborReader(bytes, what);
  if (bytes.length > TREE_PAGE_BYTES_MAX) throw reader.error(`it has ${bytes.length} bytes`);
  const parts = reader.array();
  if (parts < 4) throw reader.error(`${parts} parts where 4 are wanted`);
  const version = reader.uint();
  if (version > TREE_VERSION) throw newerFormatError(what, `version ${version}`);
  if (version < 1) throw reader.error('version 0');
  if (parts !== 4) throw reader.error(`${parts} parts where 4 are wanted`);
  const critical = reader.uint(UINT32_MAX);
  if (critical !== 0) throw newerFormatError(what, `critical features 0x${critical.toString(16)}`);
  reader.uint(UINT32_MAX);
  const count = reader.array();
  if (count === 0) throw reader.error('a page without entries');
  const entries: Entry[] = [];
  for (let i = 0; i < count; i++) {
    const entry = readEntry(reader, false, what);
    if (i > 0 && compareNames(entries[i - 1]!.name, entry.name) >= 0)
      throw reader.error('entries are not in order of their names');
    entries.push(entry);
  }
  reader.end();
  return entries;
}
