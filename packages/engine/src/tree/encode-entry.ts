import { EdgeError } from '../core/errors.ts';
import { TREE_PAGE_BYTES_MAX } from '../core/limits.ts';
import { CborWriter } from './cbor-writer.ts';
import { checkEntry } from './check-entry.ts';
import { encodeRefs } from './content-list.ts';
import type { Entry, Hole, PosixMeta, Xattr } from './entry.ts';
import { EntryKey, ID_BYTES, PosixKey, TYPE_CODE } from './entry-layout.ts';
import { PAGE_OVERHEAD_BYTES_MAX } from './page-layout.ts';
import { splitTime } from './split-time.ts';
import { writeUnknownFields } from './unknown-fields.ts';

/** One memory for all entries: encoding is synchronous, and each result is a copy. */
const writer = new CborWriter();

/**
 * The encoded form of one entry (docs/formats/tree.md). `isRoot` for the root entry of a snapshot, whose name is empty.
 * E_FAILED for an entry that no reader would take, E_LIMIT for one larger than a page may be (its holes or attributes are too many).
 */
export function encodeEntry(entry: Entry, isRoot = false): Uint8Array {
  const problem = checkEntry(entry, isRoot);
  if (problem !== undefined) throw new EdgeError('E_FAILED', `an entry cannot be encoded: ${problem}`);
  writer.reset();
  writeEntry(entry);
  if (writer.length > TREE_PAGE_BYTES_MAX - PAGE_OVERHEAD_BYTES_MAX) {
    throw new EdgeError('E_LIMIT', `an entry takes ${writer.length} bytes, more than a tree page may have`, {
      context: { holes: entry.holes?.length ?? 0, xattrs: entry.posix.xattrs?.length ?? 0 },
    });
  }
  return writer.take();
}

function writeEntry(entry: Entry): void {
  const { content, holes, target, pages, hardLink, unknown } = entry;
  const inline = content?.form === 'inline' && content.refs.length > 0 ? content.refs : undefined;
  const lists = content?.form === 'lists' ? content.lists : undefined;
  const pagesKept = pages !== undefined && pages.length > 0 ? pages : undefined;
  let pairs = 5 + (unknown?.length ?? 0);
  if (entry.size !== undefined) pairs++;
  if (inline !== undefined) pairs++;
  if (lists !== undefined) pairs++;
  if (holes !== undefined) pairs++;
  if (target !== undefined) pairs++;
  if (pagesKept !== undefined) pairs++;
  if (hardLink !== undefined) pairs++;
  if (entry.changedWhileRead === true) pairs++;

  writer.map(pairs);
  writer.int(EntryKey.name).bytes(entry.name);
  writer.int(EntryKey.type).int(TYPE_CODE[entry.type]);
  const { seconds, nanos } = splitTime(entry.mtimeNs);
  writer.int(EntryKey.mtimeSeconds).int(seconds).int(EntryKey.mtimeNanos).int(nanos);
  writer.int(EntryKey.posix);
  writePosix(entry.posix);
  if (entry.size !== undefined) writer.int(EntryKey.size).int(entry.size);
  if (inline !== undefined) writer.int(EntryKey.inline).bytes(encodeRefs(inline));
  if (lists !== undefined) writer.int(EntryKey.lists).bytes(encodeRefs(lists));
  if (holes !== undefined) writeHoles(holes);
  if (target !== undefined) writer.int(EntryKey.target).bytes(target);
  if (pagesKept !== undefined) {
    writer.int(EntryKey.pages).bytesHead(pagesKept.length * ID_BYTES);
    for (const id of pagesKept) writer.raw(id);
  }
  if (hardLink !== undefined) writer.int(EntryKey.hardLink).bytes(hardLink);
  if (entry.changedWhileRead === true) writer.int(EntryKey.changedWhileRead).bool(true);
  writeUnknownFields(writer, unknown);
}

function writePosix({ mode, uid, gid, rdev, xattrs, unknown }: PosixMeta): void {
  const pairs = 3 + (rdev === undefined ? 0 : 1) + (xattrs === undefined ? 0 : 1) + (unknown?.length ?? 0);
  writer.map(pairs).int(PosixKey.mode).int(mode).int(PosixKey.uid).int(uid).int(PosixKey.gid).int(gid);
  if (rdev !== undefined) writer.int(PosixKey.rdev).array(2).int(rdev.major).int(rdev.minor);
  if (xattrs !== undefined) writeXattrs(xattrs);
  writeUnknownFields(writer, unknown);
}

function writeXattrs(xattrs: readonly Xattr[]): void {
  writer.int(PosixKey.xattrs).array(xattrs.length);
  for (const { name, value } of xattrs) writer.array(2).bytes(name).bytes(value);
}

function writeHoles(holes: readonly Hole[]): void {
  writer.int(EntryKey.holes).array(holes.length * 2);
  for (const { offset, length } of holes) writer.int(offset).int(length);
}
