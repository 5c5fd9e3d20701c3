/** Puts the final entries of a folder together, lays them out in tree pages, and makes the folder's new cache row. */
import type { Identify } from '../codec/identify.ts';
import { EdgeError } from '../core/errors.ts';
import { ChunkKind } from '../core/ids.ts';
import { decodeEntry } from '../tree/decode-entry.ts';
import { encodeEntry } from '../tree/encode-entry.ts';
import { type EncodedEntry, pageEntries } from '../tree/encode-pages.ts';
import type { PlainChunk } from './chunk-batch.ts';
import {
  FolderStateReader,
  FolderStateWriter,
  RECORD_HEADER_BYTES,
  STAT_AT,
  STAT_WORDS,
  StateFlag,
  sizeOf,
  TYPE_CODES,
} from './folder-state.ts';
import type { FolderCounts } from './scan-types.ts';

export interface FolderToFinish {
  /** Of a folder in parts, how many there are; noted in the first one's row. */
  readonly parts?: number;
  readonly state: Uint8Array;
  /** Files that were read, ascending: index of the entry, then the offset of its record in the message's records. */
  readonly read: Uint32Array;
  /** What became of other entries since the scan, ascending by index. Entries that are not named stay as they are. */
  readonly updates: readonly EntryUpdate[];
}

export type EntryUpdate = { readonly index: number } & EntryChange;

export type EntryChange =
  /** A folder: the pages it was stored as. */
  | { readonly kind: 'pages'; readonly pages: readonly Uint8Array[] }
  /** Could not be read: the earlier entry stays, to be tried again. */
  | { readonly kind: 'keep' }
  /** Not there any more. */
  | { readonly kind: 'drop' }
  /** Belongs to this group of hard links. */
  | { readonly kind: 'link'; readonly group: Uint8Array }
  /** A hard link of a file that was read under another name: its encoded entry. */
  | { readonly kind: 'same-file'; readonly encoded: Uint8Array };

export interface FinishedFolder {
  /** The new cache row. */
  readonly row: Uint8Array<ArrayBuffer>;
  readonly pages: readonly Uint8Array[];
  readonly counts: FolderCounts;
}

const writer = new FolderStateWriter();
const stat = new Uint32Array(STAT_WORDS);

/** Pages are appended to `chunks`. Entries still pending are left out. E_FAILED for a state that does not decode. */
export function finishFolder(
  folder: FolderToFinish,
  records: Uint8Array,
  identify: Identify,
  chunks: PlainChunk[],
): FinishedFolder {
  const kept = collect(folder, records);
  const pages: Uint8Array[] = [];
  for (const plain of pageEntries(kept)) {
    const id = identify(ChunkKind.tree, plain);
    pages.push(id);
    chunks.push({ kind: ChunkKind.tree, id, plain });
  }
  writer.start(pages, folder.parts);
  const counts = { files: 0, dirs: 0, others: 0, bytes: 0 };
  for (const { name, bytes, type, flags, words, statAt } of kept) {
    for (let i = 0; i < STAT_WORDS; i++) stat[i] = words[statAt + i]!;
    writer.add(type, flags & ~StateFlag.pending, stat, 0, name, bytes);
    if (type === TYPE_CODES.file) {
      counts.files++;
      counts.bytes += sizeOf(stat, 0);
    } else if (type === TYPE_CODES.dir) counts.dirs++;
    else counts.others++;
  }
  return { row: writer.take(), pages, counts };
}

interface KeptEntry extends EncodedEntry {
  readonly type: number;
  readonly flags: number;
  readonly words: Uint32Array;
  readonly statAt: number;
}

function collect({ state, read, updates }: FolderToFinish, records: Uint8Array): KeptEntry[] {
  const reader = FolderStateReader.open(state);
  if (reader === undefined) throw new EdgeError('E_FAILED', 'the state of a folder does not decode');
  const recordWords = new Uint32Array(records.buffer, records.byteOffset, records.length >> 2);
  const kept: KeptEntry[] = [];
  let nextRead = 0;
  let nextUpdate = 0;
  for (let index = 0; reader.next(); index++) {
    const { type } = reader.record;
    let { flags, at } = reader.record;
    let bytes: Uint8Array = reader.encoded();
    let words = reader.words;
    let dropped = false;
    if (read[nextRead] === index) {
      at = read[nextRead + 1]!;
      nextRead += 2;
      words = recordWords;
      const head = words[at >> 2]!;
      flags = head >>> 24;
      const from = at + RECORD_HEADER_BYTES + (head & 0xffff);
      bytes = records.subarray(from, from + words[(at >> 2) + 1]!);
    }
    for (; updates[nextUpdate]?.index === index; nextUpdate++) {
      const update = updates[nextUpdate]!;
      switch (update.kind) {
        case 'pages':
          bytes = encodeEntry({ ...decodeEntry(bytes), pages: update.pages });
          break;
        case 'link':
          bytes = encodeEntry({ ...decodeEntry(bytes), hardLink: update.group });
          break;
        case 'same-file': {
          const entry = decodeEntry(update.encoded);
          bytes = encodeEntry({ ...entry, name: new Uint8Array(reader.name()) });
          flags &= ~StateFlag.pending;
          if (entry.changedWhileRead === true) flags |= StateFlag.stale;
          break;
        }
        case 'keep':
          flags = (flags | StateFlag.stale) & ~StateFlag.pending;
          break;
        case 'drop':
          dropped = true;
      }
    }
    // A record still pending, or kept without an earlier version, has nothing to say yet.
    if (dropped || (flags & StateFlag.pending) !== 0 || bytes.length === 0) continue;
    kept.push({ name: new Uint8Array(reader.name()), bytes, type, flags, words, statAt: (at + STAT_AT) >> 2 });
  }
  return kept;
}
