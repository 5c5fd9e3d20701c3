/**
 * Whether a folder is exactly as its cache row says: the same names, each with the same stat, and nothing that wants more than that. Most folders are, and
 * this is all that happens to them. Everything else is left to `FolderScan`, which begins anew.
 */
import { RECORD_NAME_AT, rawStat, readRecords, records, statRecord } from '../files/raw-listing.ts';
import { IGNORE_FILE_NAME } from '../policy/ignore-rules.ts';
import { isPartialName } from '../policy/partial-name.ts';
import { decodeEntry } from '../tree/decode-entry.ts';
import {
  FolderStateReader,
  inodeKey,
  RECORD_HEADER_BYTES,
  STAT_AT,
  STAT_WORDS,
  sizeOf,
  statEquals,
  statFromStatx,
  TYPE_CODES,
} from './folder-state.ts';
import type { ScannedFolder, ScanReply, ScanRequest, ScanSettings } from './scan-types.ts';

const DOT = 0x2e;
const CACHE_TAG_NAME = Buffer.from('CACHEDIR.TAG');
const IGNORE_NAME = Buffer.from(IGNORE_FILE_NAME);
/** The kind in the mode (its upper four bits) for each type of a row. */
const MODE_OF_TYPE = new Uint8Array(16);
MODE_OF_TYPE[TYPE_CODES.file] = 8;
MODE_OF_TYPE[TYPE_CODES.dir] = 4;
MODE_OF_TYPE[TYPE_CODES.symlink] = 10;
MODE_OF_TYPE[TYPE_CODES.fifo] = 1;
MODE_OF_TYPE[TYPE_CODES.chardev] = 2;
MODE_OF_TYPE[TYPE_CODES.blockdev] = 6;

const stat = new Uint32Array(STAT_WORDS);
/** Offsets of the row's records that are yet to be met, plus one, by the hash of their names; 0 is free. */
let table = new Int32Array(1024);
/** Stands where a record was met. */
const MET = -1;

/** The scan of the open folder, of which nothing was read yet; undefined when anything differs or is not plain. */
export function quickLook(settings: ScanSettings, request: ScanRequest, dir: number): ScanReply | undefined {
  const { rows, isAligned, inParts, range, readAll, only, ignore } = request;
  const isPlain = isAligned && !readAll && inParts !== true && !range && !only && !ignore && rows.length === 1;
  if (!isPlain) return undefined;
  const row = FolderStateReader.open(rows[0]!);
  if (row === undefined || row.parts > 1) return undefined;
  const counts = { files: 0, dirs: 0, others: 0, bytes: 0 };
  const dirs: ScannedFolder[] = [];
  if (!remember(settings, row, counts, dirs) || !isSame(row, dir)) return undefined;
  const plain = counts.files + counts.others;
  return {
    unchanged: true,
    pending: NOTHING_PENDING,
    dirs,
    links: [],
    removedDirs: [],
    matched: plain,
    others: { unchanged: plain, changed: 0, added: 0 },
    counts,
    failures: [],
    notices: [],
  };
}

const NOTHING_PENDING = new Uint32Array(0);

type Counts = { -readonly [Key in keyof ScanReply['counts']]: number };

/** Fills the table and adds up what is in the row; false when there is something in it that the quick look is not for. */
function remember(settings: ScanSettings, row: FolderStateReader, counts: Counts, dirs: ScannedFolder[]): boolean {
  const { bytes, words, record } = row;
  const size = tableSize(row);
  if (size > table.length) table = new Int32Array(size);
  else table.fill(0, 0, size);
  let index = 0;
  for (; row.next(); index++) {
    const { at, type, flags, nameAt, encodedAt } = record;
    // Neither believed (stale, racy) nor alone (linked) as it is.
    if (flags !== 0 || isSpecial(bytes, nameAt, encodedAt)) return false;
    let slot = hashOf(bytes, nameAt, encodedAt) & (size - 1);
    while (table[slot] !== 0) slot = (slot + 1) & (size - 1);
    table[slot] = at + 1;
    const stat = (at + STAT_AT) >> 2;
    if (type === TYPE_CODES.file) {
      counts.files++;
      counts.bytes += sizeOf(words, stat);
    } else if (type === TYPE_CODES.dir) {
      counts.dirs++;
      const inode = inodeKey(words, stat);
      const isElsewhere =
        settings.device !== undefined && `${words[stat + 10]}:${words[stat + 11]}` !== settings.device;
      if (isElsewhere || settings.leftOut.includes(inode)) return false;
      const ids = decodeEntry(row.encoded()).pages ?? [];
      const pages = ids.length === 1 ? ids[0]! : new Uint8Array(Buffer.concat(ids));
      const name = new Uint8Array(row.name());
      dirs.push({ index, name, inode, wasThere: true, pages, isFresh: false, closed: false });
    } else counts.others++;
  }
  // Fewer than the row says: it is broken.
  return index === row.entries;
}

/** Names that mean something to a scan. Of a cache's tag that cannot be read it is told each time. */
function isSpecial(bytes: Buffer, from: number, to: number): boolean {
  if (bytes[from] === DOT && isPartialName(bytes.subarray(from, to))) return true;
  return isName(bytes, from, to, CACHE_TAG_NAME) || isName(bytes, from, to, IGNORE_NAME);
}

function isName(bytes: Buffer, from: number, to: number, name: Buffer): boolean {
  return to - from === name.length && bytes[from] === name[0] && name.equals(bytes.subarray(from, to));
}

/** Every entry of the folder is in the table with the stat that it has, and every record of the table is in the folder. */
function isSame(row: FolderStateReader, dir: number): boolean {
  const { bytes, words } = row;
  const size = tableSize(row);
  let left = row.entries;
  for (;;) {
    const filled = readRecords(dir);
    if (filled <= 0) return filled === 0 && left === 0;
    for (let at = 0; at < filled; ) {
      const from = at + RECORD_NAME_AT;
      at += records[at + 16]! | (records[at + 17]! << 8);
      let to = from + 1;
      while (records[to] !== 0) to++;
      const isDots = records[from] === DOT && to - from <= 2 && (to - from === 1 || records[from + 1] === DOT);
      if (isDots) continue;
      const found = take(bytes, size, from, to);
      if (found < 0 || !statRecord(dir, from)) return false;
      // The third byte of a record is its type.
      if (kindOfStatx(rawStat) !== MODE_OF_TYPE[bytes[found + 2]!]) return false;
      statFromStatx(rawStat, stat);
      if (!statEquals(stat, 0, words, (found + STAT_AT) >> 2)) return false;
      left--;
    }
  }
}

/** The offset of the record with this name, which is then taken for met; -1 when there is none. */
function take(bytes: Buffer, size: number, from: number, to: number): number {
  const length = to - from;
  let slot = hashOf(records, from, to) & (size - 1);
  for (let entry = table[slot]!; entry !== 0; slot = (slot + 1) & (size - 1), entry = table[slot]!) {
    if (entry === MET) continue;
    const at = entry - 1;
    if ((bytes[at]! | (bytes[at + 1]! << 8)) !== length) continue;
    let i = 0;
    while (i < length && bytes[at + RECORD_HEADER_BYTES + i] === records[from + i]) i++;
    if (i < length) continue;
    table[slot] = MET;
    return at;
  }
  return -1;
}

/** Slots for the records of a row: a power of two, half of them free or more. */
function tableSize(row: FolderStateReader): number {
  let size = 64;
  while (size < row.entries * 2) size *= 2;
  return size;
}

function hashOf(bytes: Uint8Array, from: number, to: number): number {
  let hash = 0x811c9dc5;
  for (let i = from; i < to; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
  return hash ^ (hash >>> 15);
}

/** The upper four bits of the mode in a `struct statx`. */
function kindOfStatx(statx: Uint32Array): number {
  return (statx[7]! >>> 12) & 0xf;
}
