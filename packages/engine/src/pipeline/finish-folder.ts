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
  STAT_AT,
  STAT_WORDS,
  StateFlag,
  sizeOf,
  TYPE_CODES,
} from './folder-state.ts';
import type { FolderCounts } from './scan-folder.ts';

/** What became of an entry since its folder was scanned; entries that are not named stay as they are. */
export type EntryUpdate = { readonly index: number } & (
  | /** Read: its record lies in `records` at `at`. */ {
      readonly kind: 'record';
      readonly records: number;
      readonly at: number;
    }
  | /** A folder: the pages it was stored as. */ { readonly kind: 'pages'; readonly pages: readonly Uint8Array[] }
  | /** Could not be read: the earlier entry stays, to be tried again. */ { readonly kind: 'keep' }
  | /** Not there any more, or could not be read and never was. */ { readonly kind: 'drop' }
  | /** Belongs to this group of hard links. */ { readonly kind: 'link'; readonly group: Uint8Array }
  | /** A hard link of a file that was read under another name: its encoded entry. */ {
      readonly kind: 'same-file';
      readonly encoded: Uint8Array;
    }
);

export interface FolderToFinish {
  readonly state: Uint8Array;
  /** In order of `index`. */
  readonly updates: readonly EntryUpdate[];
}

export interface FinishedFolder {
  /** The new cache row. */
  readonly row: Uint8Array<ArrayBuffer>;
  readonly pages: readonly Uint8Array[];
  readonly counts: FolderCounts;
}

const writer = new FolderStateWriter();
const stat = new Uint32Array(STAT_WORDS);

/** Pages are appended to `chunks`. E_FAILED for a state that does not decode. */
export function finishFolder(
  folder: FolderToFinish,
  records: readonly Uint8Array[],
  identify: Identify,
  chunks: PlainChunk[],
): FinishedFolder {
  const reader = FolderStateReader.open(folder.state);
  if (reader === undefined) throw new EdgeError('E_FAILED', 'the state of a folder does not decode');
  const kept = collect(reader, folder.updates, records);
  const pages: Uint8Array[] = [];
  for (const plain of pageEntries(kept)) {
    const id = identify(ChunkKind.tree, plain);
    pages.push(id);
    chunks.push({ kind: ChunkKind.tree, id, plain });
  }
  writer.start(pages);
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

function collect(
  reader: FolderStateReader,
  updates: readonly EntryUpdate[],
  records: readonly Uint8Array[],
): KeptEntry[] {
  const recordReaders = records.map((bytes) => new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2));
  const kept: KeptEntry[] = [];
  let next = 0;
  for (let index = 0; reader.next(); index++) {
    const { record } = reader;
    let update = updates[next]?.index === index ? updates[next++] : undefined;
    let { flags } = record;
    let bytes: Uint8Array = reader.encoded();
    let words = reader.words;
    let at = record.at;
    for (; update !== undefined; update = updates[next]?.index === index ? updates[next++] : undefined) {
      if (update.kind === 'record') {
        const source = records[update.records]!;
        words = recordReaders[update.records]!;
        at = update.at;
        const word = words[at >> 2]!;
        flags = word >>> 24;
        const from = at + 56 + (word & 0xffff);
        bytes = source.subarray(from, from + words[(at >> 2) + 1]!);
      } else if (update.kind === 'pages') bytes = encodeEntry({ ...decodeEntry(bytes), pages: update.pages });
      else if (update.kind === 'link') bytes = encodeEntry({ ...decodeEntry(bytes), hardLink: update.group });
      else if (update.kind === 'same-file') {
        bytes = encodeEntry({ ...decodeEntry(update.encoded), name: new Uint8Array(reader.name()) });
        flags &= ~StateFlag.pending;
      } else if (update.kind === 'keep') flags = (flags | StateFlag.stale) & ~StateFlag.pending;
      else bytes = DROPPED;
    }
    if (bytes === DROPPED) continue;
    // A record still pending, or kept without an earlier version, has nothing to say yet.
    if ((flags & StateFlag.pending) !== 0 || bytes.length === 0) continue;
    const name = new Uint8Array(reader.name());
    kept.push({ name, bytes, type: record.type, flags, words, statAt: (at + STAT_AT) >> 2 });
  }
  return kept;
}

const DROPPED = new Uint8Array(0);
