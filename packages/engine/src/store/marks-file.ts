/**
 * The file `marks` of the data dir (`docs/formats/marks.md`): which copies were found bad, which packs are gone, and when each pack was last verified.
 * The index keeps the same, but is only a cache; a mark that went with it would let a damaged copy count again. Written with synchronous calls,
 * since the index writes to it between two of its own.
 */
import { createHash } from 'node:crypto';
import { closeSync, fstatSync, fsyncSync, ftruncateSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { EdgeError, errnoOf, isEdgeError, toEdgeError } from '../core/errors.ts';
import { failpoint } from '../core/failpoint.ts';
import { MARKS_FILE_BYTES_MAX } from '../core/limits.ts';
import type { MarkNote, MarkNotes, NotedPack } from '../core/ports/mark-notes.ts';
import { foldNotes, notesOf } from './fold-mark-notes.ts';
import { decodeMarkNote, encodeMarkNote, MARKS_MAGIC } from './mark-note-encoding.ts';

/** Length u32 and the first 8 bytes of the SHA-256 of the body, before each body. */
const FRAME_BYTES = 12;
/** Below this a file is not written anew, however little of it holds. */
const REWRITE_BYTES_MIN = 1024 * 1024;

export interface MarksFile extends MarkNotes {
  /** What was found damaged in the file when it was opened; the damaged file was kept beside it. */
  readonly problem: EdgeError | undefined;
}

/** Reads the file once to find its end. An unfinished last note is cut off: nothing was done yet that rests on it. */
export function openMarksFile(path: string): MarksFile {
  const bytes = readAll(path);
  const scanned = scan(bytes);
  let problem: EdgeError | undefined;
  let end = scanned.end;
  if (scanned.isDamaged) {
    const aside = `${path}.damaged`;
    replaceFile(aside, bytes);
    problem = new EdgeError('E_INTEGRITY', `the file ${path} is damaged at byte ${scanned.damagedAt}`, {
      hint: `Marks noted there may be lost: run \`edgestore scrub --all\`, which finds damage anew. The file is kept as ${aside}.`,
      context: { path, offset: scanned.damagedAt },
    });
  }
  const folded = foldNotes(scanned.notes);
  const smallest = () => encodeAll(notesOf(folded));
  if (scanned.isDamaged || bytes.length > REWRITE_BYTES_MIN) {
    const fresh = smallest();
    if (scanned.isDamaged || fresh.length * 2 < bytes.length) {
      replaceFile(path, fresh);
      end = fresh.length;
    } else if (end < bytes.length) cutTo(path, end);
  } else if (end < bytes.length) cutTo(path, end);
  let failed: EdgeError | undefined;

  return {
    problem,
    append(notes) {
      if (failed !== undefined) throw failed;
      const parts = notes.map(frameOf);
      const added = parts.reduce((sum, part) => sum + part.length, 0);
      try {
        // Past the bound single copies are not noted one by one any more: the whole pack has to be looked at again.
        const framed = end + added > MARKS_FILE_BYTES_MAX ? notes.map((note) => frameOf(coarse(note))) : parts;
        end = appendAt(path, end, Buffer.concat(framed));
      } catch (error) {
        const problem = toEdgeError(error, `writing ${path}`);
        // After a failed fsync nobody knows what is on the disk: nothing more is noted, and so nothing is marked, before a new start read the file.
        if (!isEdgeError(problem, 'E_NO_SPACE')) failed = problem;
        throw problem;
      }
    },
    read: () => foldNotes(scan(readAll(path)).notes),
  };
}

/** For callers without a data dir, in tests: notes are kept in memory. */
export function marksInMemory(): MarkNotes {
  const notes: MarkNote[] = [];
  return { append: (more) => void notes.push(...more), read: (): ReadonlyMap<string, NotedPack> => foldNotes(notes) };
}

interface Scanned {
  readonly notes: MarkNote[];
  /** Behind the last whole note. */
  readonly end: number;
  readonly isDamaged: boolean;
  readonly damagedAt: number;
}

function scan(bytes: Buffer): Scanned {
  const notes: MarkNote[] = [];
  if (bytes.length === 0) return { notes, end: 0, isDamaged: false, damagedAt: 0 };
  if (bytes.length < MARKS_MAGIC.length && Buffer.from(MARKS_MAGIC).subarray(0, bytes.length).equals(bytes))
    return { notes, end: 0, isDamaged: false, damagedAt: 0 };
  if (!bytes.subarray(0, MARKS_MAGIC.length).equals(MARKS_MAGIC))
    return { notes, end: 0, isDamaged: true, damagedAt: 0 };
  let at = MARKS_MAGIC.length;
  let damagedAt: number | undefined;
  let end = at;
  while (at < bytes.length) {
    const next = frameEnd(bytes, at);
    if (next !== undefined && isWhole(bytes, at, next)) {
      const note = decodeMarkNote(bytes.subarray(at + FRAME_BYTES, next));
      if (note !== undefined) notes.push(note);
      end = next;
      at = next;
      continue;
    }
    // With a whole note behind it, it is no unfinished end, whatever its length says.
    const later = nextWhole(bytes, at + 1);
    if (later !== undefined || (next !== undefined && next < bytes.length)) damagedAt ??= at;
    if (later === undefined) break;
    at = later;
  }
  const isTornOnly = damagedAt === undefined;
  return { notes, end, isDamaged: !isTornOnly, damagedAt: damagedAt ?? 0 };
}

/** Where the frame ends by its length; undefined where the file ends before. */
function frameEnd(bytes: Buffer, at: number): number | undefined {
  if (bytes.length - at < FRAME_BYTES) return undefined;
  const end = at + FRAME_BYTES + bytes.readUInt32LE(at);
  return end > bytes.length ? undefined : end;
}

function isWhole(bytes: Buffer, at: number, end: number): boolean {
  return checkOf(bytes.subarray(at + FRAME_BYTES, end)).equals(bytes.subarray(at + 4, at + FRAME_BYTES));
}

function nextWhole(bytes: Buffer, from: number): number | undefined {
  for (let at = from; at < bytes.length; at++) {
    const end = frameEnd(bytes, at);
    // No note is empty, and zeros are many.
    if (end !== undefined && end > at + FRAME_BYTES && isWhole(bytes, at, end)) return at;
  }
  return undefined;
}

function checkOf(body: Uint8Array): Buffer {
  return createHash('sha256').update(body).digest().subarray(0, 8);
}

function frameOf(note: MarkNote): Buffer {
  const body = encodeMarkNote(note);
  const frame = Buffer.alloc(FRAME_BYTES);
  frame.writeUInt32LE(body.length, 0);
  checkOf(body).copy(frame, 4);
  return Buffer.concat([frame, body]);
}

function encodeAll(notes: Iterable<MarkNote>): Buffer {
  return Buffer.concat([MARKS_MAGIC, ...[...notes].map(frameOf)]);
}

function coarse(note: MarkNote): MarkNote {
  if (note.kind !== 'mark') return note;
  const { store, pack, atNs } = note;
  return { kind: 'mark-pack', store, pack, atNs, reason: 'damaged', frames: note.ids.length, bytes: 0 };
}

function readAll(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return Buffer.alloc(0);
    throw toEdgeError(error, `reading ${path}`);
  }
}

/** Bytes behind `end` are of an append that failed: they are cut off first. Returns the new end. */
function appendAt(path: string, end: number, framed: Buffer): number {
  const isNew = end === 0;
  const fd = openSync(path, isNew ? 'w+' : 'r+', 0o600);
  try {
    const bytes = isNew ? Buffer.concat([MARKS_MAGIC, framed]) : framed;
    const { size } = fstatSync(fd);
    if (size < end) throw new EdgeError('E_INTEGRITY', `${path} is shorter than it was (${end})`);
    if (size > end) ftruncateSync(fd, end);
    writeAll(fd, bytes, end);
    failpoint('marks.written');
    fsyncSync(fd);
    failpoint('marks.synced');
    if (isNew) syncFolderOf(path);
    return end + bytes.length;
  } finally {
    closeSync(fd);
  }
}

function cutTo(path: string, end: number): void {
  const fd = openSync(path, 'r+');
  try {
    ftruncateSync(fd, end);
    fsyncSync(fd);
  } catch (error) {
    throw toEdgeError(error, `cutting the unfinished end off ${path}`);
  } finally {
    closeSync(fd);
  }
}

function replaceFile(path: string, bytes: Uint8Array): void {
  const temporary = join(dirname(path), `.${basename(path)}.0.tmp`);
  try {
    const fd = openSync(temporary, 'w', 0o600);
    try {
      writeAll(fd, bytes, 0);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
    syncFolderOf(path);
  } catch (error) {
    throw toEdgeError(error, `writing ${path}`);
  }
}

function writeAll(fd: number, bytes: Uint8Array, position: number): void {
  let done = 0;
  while (done < bytes.length) done += writeSync(fd, bytes, done, bytes.length - done, position + done);
}

function syncFolderOf(path: string): void {
  const fd = openSync(dirname(path), 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
