/** Reads large files segment by segment, so that one file of any size takes bounded memory and its sealing can be spread over all workers. */
import { EdgeError } from '../core/errors.ts';
import { ChunkKind } from '../core/ids.ts';
import { MIB } from '../core/limits.ts';
import { decodeStatx, type FileStat, STATX_BYTES, statxInto } from '../files/file-stat.ts';
import { closeFd, openForReading, withFolder } from '../files/open-file.ts';
import { type Extent, findHoles, readFully, seekTo } from '../files/read-file.ts';
import { readXattrs } from '../files/xattr.ts';
import { encodeContent } from '../tree/content-list.ts';
import { encodeEntry } from '../tree/encode-entry.ts';
import type { Content, ContentRef, Entry } from '../tree/entry.ts';
import type { PlainChunk } from './chunk-batch.ts';
import { REPLACED } from './file-outcome.ts';
import { FolderStateWriter, STAT_WORDS, statEquals, statFromStatx, TYPE_CODES } from './folder-state.ts';
import { type FileToRead, flagsOf, HOLES_MAX, type ReadTools } from './read-files.ts';

/** Bytes read at a time. */
export const SEGMENT_BYTES = 4 * MIB;
/** Chunks travel to the main thread in buffers of at least this size (but for the last), each of which one worker seals. */
const GROUP_BYTES_MIN = 1 * MIB;

/** Plaintext chunks in shared memory, in order and without gaps. */
export interface ChunkGroup {
  readonly bytes: Uint8Array<SharedArrayBuffer>;
  readonly ids: Uint8Array<ArrayBuffer>;
  readonly lengths: Uint32Array<ArrayBuffer>;
}

export interface LargeFile {
  readonly fd: number;
  readonly file: FileToRead;
  readonly stat: Uint32Array;
  readonly found: FileStat;
  readonly holes: readonly Extent[];
  readonly refs: ContentRef[];
  /** Holes passed so far. */
  hole: number;
  position: number;
  carry: Uint8Array;
  /** Set when the file ended before its size. */
  endedAt: number | undefined;
}

const EMPTY = new Uint8Array(0);
const statx = Buffer.from(new ArrayBuffer(STATX_BYTES));
const statxWords = new Uint32Array(statx.buffer, 0, STATX_BYTES / 4);
const records = new FolderStateWriter();
const cuts = new Uint32Array(65_536);

/** Opens the file; throws system errors, and one of code ECHANGED when it is no file any more. The caller ends it by `closeLargeFile`. */
export function openLargeFile(base: Uint8Array, folder: Uint8Array, file: FileToRead): LargeFile {
  const fd = withFolder(base, folder, (dir) => openForReading(dir, file.name));
  try {
    const stat = new Uint32Array(STAT_WORDS);
    statFd(fd, stat);
    const found = decodeStatx(statx);
    if (found.kind !== 'file') throw Object.assign(new Error(REPLACED.message), { code: REPLACED.code });
    const holes = found.blocks * 512 < found.size ? findHoles(fd, found.size, HOLES_MAX) : [];
    seekTo(fd, 0);
    return { fd, file, stat, found, holes, refs: [], hole: 0, position: 0, carry: EMPTY, endedAt: undefined };
  } catch (error) {
    closeFd(fd);
    throw error;
  }
}

export function closeLargeFile(large: LargeFile): void {
  closeFd(large.fd);
}

/**
 * Reads on; `isLast` when all of the file has been read and cut. Groups lie in the buffers given, as far as there are any: made anew for each, they
 * would keep the garbage collector of every thread busy that they pass through.
 */
export function readSegment(
  large: LargeFile,
  tools: ReadTools,
  free: SharedArrayBuffer[],
): { groups: ChunkGroup[]; isLast: boolean } {
  const { chunker } = tools;
  const groupBytesMax = GROUP_BYTES_MIN + chunker.params.max;
  const input = chunker.input(SEGMENT_BYTES + chunker.params.max);
  input.set(large.carry);
  let filled = large.carry.length;
  const limit = filled + SEGMENT_BYTES;
  while (filled < limit) {
    const part = nextData(large);
    if (part === undefined) break;
    const wanted = Math.min(part, limit - filled);
    const got = readFully(large.fd, input.subarray(filled, filled + wanted));
    filled += got;
    large.position += got;
    if (got < wanted) large.endedAt = large.position;
  }
  const isLast = nextData(large) === undefined;
  const count = chunker.cutAll(input, filled, isLast, cuts);
  const groups: ChunkGroup[] = [];
  let from = 0;
  let groupFrom = 0;
  let ids: Uint8Array[] = [];
  let lengths: number[] = [];
  for (let i = 0; i < count; i++) {
    const to = cuts[i]!;
    const id = tools.identify(ChunkKind.data, input.subarray(from, to));
    large.refs.push({ id, length: to - from });
    ids.push(id);
    lengths.push(to - from);
    from = to;
    if (to - groupFrom >= GROUP_BYTES_MIN || i === count - 1) {
      const bytes = new Uint8Array(free.pop() ?? new SharedArrayBuffer(groupBytesMax), 0, to - groupFrom);
      bytes.set(input.subarray(groupFrom, to));
      groups.push({ bytes, ids: new Uint8Array(Buffer.concat(ids)), lengths: Uint32Array.from(lengths) });
      groupFrom = to;
      ids = [];
      lengths = [];
    }
  }
  large.carry = input.slice(from, filled);
  return { groups, isLast };
}

/** Bytes of data that lie ahead in one piece, with the file's position moved over holes; undefined at the end. */
function nextData(large: LargeFile): number | undefined {
  if (large.endedAt !== undefined) return undefined;
  for (;;) {
    const hole = large.holes[large.hole];
    if (hole === undefined) {
      const left = large.found.size - large.position;
      return left > 0 ? left : undefined;
    }
    if (hole.offset > large.position) return hole.offset - large.position;
    large.position = hole.offset + hole.length;
    large.hole++;
    seekTo(large.fd, large.position);
  }
}

/** Whether the file is as it was when it was opened, and was all there. */
export function isSteady(large: LargeFile): boolean {
  const now = new Uint32Array(STAT_WORDS);
  statFd(large.fd, now);
  return large.endedAt === undefined && statEquals(large.stat, 0, now, 0);
}

/** The file's record, and the plaintexts of its lists of chunks when it has too many for its entry. */
export function describeLargeFile(
  large: LargeFile,
  tools: ReadTools,
): { record: Uint8Array<ArrayBuffer>; lists: PlainChunk[] } {
  const { found, file, refs } = large;
  const steady = isSteady(large);
  const { endedAt } = large;
  const holes = endedAt === undefined ? large.holes : large.holes.filter((hole) => hole.offset < endedAt);
  const xattrs = readXattrs({ fd: large.fd });
  const lists: PlainChunk[] = [];
  const encoded = encodeContent(refs);
  let content: Content;
  if (encoded.form === 'inline') content = encoded;
  else {
    for (const plain of encoded.lists) {
      lists.push({ kind: ChunkKind.list, id: tools.identify(ChunkKind.list, plain), plain });
    }
    content = { form: 'lists', lists: lists.map(({ id, plain }) => ({ id, length: plain.length })) };
  }
  const bytes = refs.reduce((sum, ref) => sum + ref.length, 0);
  const entry: Entry = {
    name: file.name,
    type: 'file',
    mtimeNs: found.mtimeNs,
    posix: { mode: found.mode, uid: found.uid, gid: found.gid, ...(xattrs.length === 0 ? {} : { xattrs }) },
    size: bytes + holes.reduce((sum, hole) => sum + hole.length, 0),
    content,
    ...(holes.length === 0 ? {} : { holes }),
    ...(file.hardLink === undefined ? {} : { hardLink: file.hardLink }),
    ...(steady ? {} : { changedWhileRead: true }),
  };
  records.start();
  const flags = flagsOf(large.stat, tools.captureSeconds, found.nlink, steady);
  records.add(TYPE_CODES.file, flags, large.stat, 0, file.name, encodeEntry(entry));
  return { record: records.take(), lists };
}

/** The chunks of a group as views of its bytes. */
export function chunksOfGroup(group: ChunkGroup): PlainChunk[] {
  const chunks: PlainChunk[] = [];
  let at = 0;
  group.lengths.forEach((length, i) => {
    const id = group.ids.subarray(i * 32, i * 32 + 32);
    chunks.push({ kind: ChunkKind.data, id, plain: group.bytes.subarray(at, at + length) });
    at += length;
  });
  if (at !== group.bytes.length) throw new EdgeError('E_FAILED', 'a group of chunks has gaps');
  return chunks;
}

function statFd(fd: number, into: Uint32Array): void {
  statxInto(statx, fd, EMPTY);
  statFromStatx(statxWords, into);
}
