/** Reads small files whole, names their chunks, and describes each as a tree entry. */
import type { Chunker } from '../chunking/chunker.ts';
import type { Identify } from '../codec/identify.ts';
import { ChunkKind } from '../core/ids.ts';
import { partAt } from '../core/joined-bytes.ts';
import { MIB } from '../core/limits.ts';
import { decodeStatx, STATX_BYTES, statxInto } from '../files/file-stat.ts';
import { closeFd } from '../files/open-file.ts';
import { type Extent, findHoles, readFully, seekTo } from '../files/read-file.ts';
import { readXattrs } from '../files/xattr.ts';
import { encodeEntry } from '../tree/encode-entry.ts';
import type { ContentRef, Entry } from '../tree/entry.ts';
import type { ChunkBatches, PlainChunk } from './chunk-batch.ts';
import { type FileOutcome, outcomeOf, REPLACED } from './file-outcome.ts';
import { FilesAhead, type FilesToRead } from './files-ahead.ts';
import {
  type FolderStateWriter,
  isRacy,
  STAT_WORDS,
  StateFlag,
  statEquals,
  statFromStatx,
  TYPE_CODES,
} from './folder-state.ts';

export interface FileToRead {
  readonly name: Uint8Array;
  /** 16 bytes when it has more than one hard link. */
  readonly hardLink?: Uint8Array;
}

/** Largest file that is read whole, with others in one batch. */
export const SMALL_FILE_BYTES_MAX = 2 * MIB;
/** What is read of a file that says it is empty and is not (as in /proc); such a file may have no end. */
export const SIZELESS_BYTES_MAX = 4 * MIB;
/** A file that changes while it is read is read so often before it is stored as it is. */
export const READ_ATTEMPTS_MAX = 3;
/** Holes noted of one file; shorter ones beyond are stored as zeros. */
export const HOLES_MAX = 8192;

export interface ReadTools {
  readonly chunker: Chunker;
  readonly identify: Identify;
  readonly batches: ChunkBatches;
  /** Seconds since 1970 at which the capture began. */
  readonly captureSeconds: number;
}

const EMPTY = new Uint8Array(0);
const statx = Buffer.from(new ArrayBuffer(STATX_BYTES));
const statxWords = new Uint32Array(statx.buffer, 0, STATX_BYTES / 4);
const before = new Uint32Array(STAT_WORDS);
const after = new Uint32Array(STAT_WORDS);
const cuts = new Uint32Array(4096);

/** What became of each file. Chunks go to `chunks`, records to `records`. */
export function readFiles(
  base: Uint8Array,
  files: FilesToRead,
  tools: ReadTools,
  chunks: PlainChunk[],
  records: FolderStateWriter,
): FileOutcome[] {
  const outcomes: FileOutcome[] = [];
  const ahead = new FilesAhead(base, files);
  try {
    for (let number = 0; number < files.folderOf.length; number++) {
      const fd = ahead.next();
      if (typeof fd !== 'number') {
        outcomes.push(fd);
        continue;
      }
      try {
        outcomes.push(readFile(fd, fileAt(files, number), tools, chunks, records));
      } finally {
        closeFd(fd);
      }
    }
  } finally {
    ahead.close();
  }
  return outcomes;
}

function fileAt({ names, hardLinks }: FilesToRead, number: number): FileToRead {
  const name = partAt(names, number);
  const hardLink = hardLinks.size === 0 ? undefined : hardLinks.get(number);
  return hardLink === undefined ? { name } : { name, hardLink };
}

function readFile(
  fd: number,
  file: FileToRead,
  tools: ReadTools,
  chunks: PlainChunk[],
  records: FolderStateWriter,
): FileOutcome {
  try {
    statFd(fd, before);
    for (let attempt = 1; ; attempt++) {
      if (statx.readUInt16LE(28) >> 12 !== 8) return { kind: 'failed', ...REPLACED };
      const found = decodeStatx(statx);
      if (found.size > SMALL_FILE_BYTES_MAX) return { kind: 'large', size: found.size };
      const holes = found.blocks * 512 < found.size ? findHoles(fd, found.size, HOLES_MAX) : [];
      const plain = readContent(fd, found.size, holes, tools.batches);
      const xattrs = readXattrs({ fd });
      statFd(fd, after);
      const isSteady = statEquals(before, 0, after, 0) && plain.isWhole;
      if (!isSteady && attempt < READ_ATTEMPTS_MAX) {
        before.set(after);
        seekTo(fd, 0);
        continue;
      }
      tools.batches.use(plain.bytes.length);
      const refs = chunksOf(plain.bytes, tools, chunks);
      const entry: Entry = {
        name: file.name,
        type: 'file',
        mtimeNs: found.mtimeNs,
        posix: { mode: found.mode, uid: found.uid, gid: found.gid, ...(xattrs.length === 0 ? {} : { xattrs }) },
        size: plain.bytes.length + plain.holes.reduce((sum, hole) => sum + hole.length, 0),
        content: { form: 'inline', refs },
        ...(plain.holes.length === 0 ? {} : { holes: plain.holes }),
        ...(file.hardLink === undefined ? {} : { hardLink: file.hardLink }),
        ...(isSteady ? {} : { changedWhileRead: true }),
      };
      const at = records.add(
        TYPE_CODES.file,
        flagsOf(before, tools.captureSeconds, found.nlink, isSteady),
        before,
        0,
        file.name,
        encodeEntry(entry),
      );
      return { kind: 'read', at, changedWhileRead: !isSteady };
    }
  } catch (error) {
    return outcomeOf(error);
  }
}

/** The flags of a file's record. One that changed while it was read is read again next time. */
export function flagsOf(stat: Uint32Array, captureSeconds: number, nlink: number, isSteady: boolean): number {
  return (
    (isRacy(stat, captureSeconds) ? StateFlag.racy : 0) |
    (nlink > 1 ? StateFlag.linked : 0) |
    (isSteady ? 0 : StateFlag.stale)
  );
}

interface Content {
  readonly bytes: Uint8Array;
  readonly holes: readonly Extent[];
  /** False when the file was shorter than it said, or went on beyond the limit. */
  readonly isWhole: boolean;
}

/** The bytes outside the holes, one after the other; cut short with its holes when the file ends early. */
function readContent(fd: number, size: number, holes: readonly Extent[], batches: ChunkBatches): Content {
  if (size === 0) return readSizeless(fd, batches);
  const holeBytes = holes.reduce((sum, hole) => sum + hole.length, 0);
  const room = batches.room(size - holeBytes);
  let filled = 0;
  let position = 0;
  for (const part of [...holes, { offset: size, length: 0 }]) {
    if (part.offset > position) {
      if (holes.length > 0) seekTo(fd, position);
      const wanted = part.offset - position;
      const got = readFully(fd, room.subarray(filled, filled + wanted));
      filled += got;
      if (got < wanted) {
        return {
          bytes: room.subarray(0, filled),
          holes: holes.filter((hole) => hole.offset < position),
          isWhole: false,
        };
      }
    }
    position = part.offset + part.length;
  }
  return { bytes: room.subarray(0, filled), holes, isWhole: true };
}

/** An empty file, mostly; files of /proc and the like say that they are empty and give bytes all the same. */
function readSizeless(fd: number, batches: ChunkBatches): Content {
  const start = readFully(fd, firstBytes);
  if (start === 0) return { bytes: EMPTY, holes: [], isWhole: true };
  const room = batches.room(SIZELESS_BYTES_MAX);
  room.set(firstBytes.subarray(0, start));
  const filled = start < firstBytes.length ? start : start + readFully(fd, room.subarray(start));
  return { bytes: room.subarray(0, filled), holes: [], isWhole: filled < SIZELESS_BYTES_MAX };
}

/** Some of those files refuse to be read in small pieces. */
const firstBytes = new Uint8Array(64 * 1024);

function chunksOf(plain: Uint8Array, { chunker, identify }: ReadTools, chunks: PlainChunk[]): ContentRef[] {
  if (plain.length === 0) return [];
  const refs: ContentRef[] = [];
  const count = plain.length <= chunker.params.min ? 0 : chunker.cutAll(plain, plain.length, true, cuts);
  let from = 0;
  for (let i = 0; i < Math.max(1, count); i++) {
    const to = count === 0 ? plain.length : cuts[i]!;
    const part = plain.subarray(from, to);
    const id = identify(ChunkKind.data, part);
    refs.push({ id, length: part.length });
    chunks.push({ kind: ChunkKind.data, id, plain: part });
    from = to;
  }
  return refs;
}

function statFd(fd: number, into: Uint32Array): void {
  statxInto(statx, fd, EMPTY);
  statFromStatx(statxWords, into);
}
