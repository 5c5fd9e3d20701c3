import { EdgeError } from '../core/errors.ts';
import { CborWriter } from './cbor-writer.ts';
import { compareNames } from './compare-names.ts';
import { encodeEntry } from './encode-entry.ts';
import type { Entry } from './entry.ts';
import { TREE_VERSION } from './entry-layout.ts';
import { PAGE_BYTES_MAX, PAGE_BYTES_MIN, PAGE_CUT_MASK } from './page-layout.ts';

/** An entry that is encoded already, and its name, which orders it. */
export interface EncodedEntry {
  readonly name: Uint8Array;
  readonly bytes: Uint8Array;
}

const writer = new CborWriter();

/** The pages of a folder of these entries, in any order. No page for none. */
export function encodeFolder(entries: readonly Entry[]): Uint8Array[] {
  return pageEntries(entries.map((entry) => ({ name: entry.name, bytes: encodeEntry(entry) })));
}

/**
 * Sorts encoded entries by name bytes and lays them out in pages, the plaintexts of a folder's tree chunks. Pages end where the hash of a name says
 * so, so that a new or changed entry changes one page and seldom its neighbour, and large folders share the rest.
 * E_FAILED when a name is there twice.
 */
export function pageEntries(encoded: readonly EncodedEntry[]): Uint8Array[] {
  const sorted = [...encoded].sort((a, b) => compareNames(a.name, b.name));
  const pages: Uint8Array[] = [];
  let first = 0;
  let bytes = 0;
  for (let i = 0; i < sorted.length; i++) {
    const entry = sorted[i]!;
    const next = sorted[i + 1];
    if (next !== undefined && compareNames(entry.name, next.name) === 0) {
      throw new EdgeError('E_FAILED', 'a folder has the same name twice');
    }
    bytes += entry.bytes.length;
    const isFull = next === undefined || bytes + next.bytes.length > PAGE_BYTES_MAX;
    if (isFull || (bytes >= PAGE_BYTES_MIN && (hashName(entry.name) & PAGE_CUT_MASK) === 0)) {
      pages.push(encodePage(sorted, first, i + 1));
      first = i + 1;
      bytes = 0;
    }
  }
  return pages;
}

function encodePage(entries: readonly EncodedEntry[], from: number, to: number): Uint8Array {
  writer.reset();
  writer
    .array(4)
    .int(TREE_VERSION)
    .int(0)
    .int(0)
    .array(to - from);
  for (let i = from; i < to; i++) writer.raw(entries[i]!.bytes);
  return writer.take();
}

/** FNV-1a with a final mix; it only has to spread names, and a name chosen to mislead it costs its owner a longer page. */
function hashName(name: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name[i]!, 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return (hash ^ (hash >>> 13)) >>> 0;
}
