/** Writes whole files, and parts of large ones, from verified chunks. One file's trouble never stops the others. */
import { constants, fsyncSync, ftruncateSync, writeSync } from 'node:fs';
import { EdgeError, errnoOf, toEdgeError } from '../../core/errors.ts';
import { statAt } from '../../files/file-stat.ts';
import { removeFileAt, renameAt } from '../../files/make-entry.ts';
import { closeFd, openAt } from '../../files/open-file.ts';
import type { Task } from '../task.ts';
import {
  type ExtractFile,
  type ExtractPiece,
  type PackedBatch,
  type UnpackedBatch,
  unpackBatch,
} from './extract-batch.ts';
import { type BadChunk, type BatchChunks, openBatchChunks } from './extract-chunks.ts';
import { type FolderCache, folderCacheOf } from './extract-folder-cache.ts';
import { createContentLayout } from './extract-layout.ts';
import { applyMetaToFd, type ItemFailure, processOwner } from './extract-meta.ts';

/**
 * `fail`: a name that is taken is an error. `replace`: it is ours from a run that was stopped, and is made anew. `rename`: files are written
 * under names that begin with `prefix` and renamed over what is there.
 */
export type Collision =
  | { readonly how: 'fail' }
  | { readonly how: 'replace' }
  | { readonly how: 'rename'; readonly prefix: string };

export interface ExtractFilesTask {
  readonly input: { readonly root: Uint8Array; readonly batch: PackedBatch; readonly collision: Collision };
  readonly output: {
    /** Files that were not written; nothing is left of them. With `badChunks` of theirs the batch may be tried again with other copies. */
    readonly files: readonly ItemFailure[];
    readonly pieces: readonly ItemFailure[];
    /** Files and pieces that wait for another copy of a chunk. */
    readonly filesAgain: readonly number[];
    readonly piecesAgain: readonly number[];
    readonly badChunks: readonly BadChunk[];
    /** Files that were written but lack some metadata. */
    readonly meta: readonly ItemFailure[];
    /** How many files could not be given their owner. */
    readonly ownersKept: number;
  };
}

interface Outcome {
  readonly files: ItemFailure[];
  readonly pieces: ItemFailure[];
  readonly filesAgain: number[];
  readonly piecesAgain: number[];
  readonly badChunks: Map<number, BadChunk>;
  readonly meta: ItemFailure[];
  ownersKept: number;
}

const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;

export const task: Task<ExtractFilesTask['input'], ExtractFilesTask['output']> = async (input, context) => {
  const batch = unpackBatch(input.batch);
  const chunks = openBatchChunks(batch.chunks, countUses(batch), await context.opener(), context);
  const folders = folderCacheOf(context, input.root);
  const self = processOwner();
  const outcome: Outcome = {
    files: [],
    pieces: [],
    filesAgain: [],
    piecesAgain: [],
    badChunks: new Map(),
    meta: [],
    ownersKept: 0,
  };
  for (const [index, file] of batch.files.entries()) {
    try {
      extractFile(index, file);
    } catch (error) {
      outcome.files.push(failureOf(index, error));
    }
  }
  const open = new Map<string, number>();
  try {
    for (const [index, piece] of batch.pieces.entries()) {
      try {
        writePiece(index, piece, open);
      } catch (error) {
        outcome.pieces.push(failureOf(index, error));
      }
    }
  } finally {
    for (const fd of open.values()) closeFd(fd);
  }
  return { output: { ...outcome, badChunks: [...outcome.badChunks.values()] } };

  function extractFile(index: number, file: ExtractFile): void {
    const plains = plainsOf(file, chunks, outcome);
    if (plains === undefined) {
      outcome.filesAgain.push(index);
      return;
    }
    const dir = folders.folder(batch.folders[file.folder]!);
    const temporary = input.collision.how === 'rename' ? Buffer.from(`${input.collision.prefix}${index}`) : undefined;
    const name = temporary ?? file.name;
    const fd = createFile(dir, name, input.collision.how !== 'fail');
    try {
      try {
        writeContent(fd, file, plains);
        const meta = applyMetaToFd(fd, file, self);
        if (meta.ownerKept) outcome.ownersKept++;
        for (const problem of meta.problems) outcome.meta.push({ index, ...problem });
        if (temporary !== undefined) syncBeforeReplacing(dir, file.name, fd);
      } finally {
        closeFd(fd);
      }
      if (temporary !== undefined) renameAt(dir, temporary, dir, file.name);
    } catch (error) {
      removeHalfWritten(dir, name);
      throw error;
    }
  }

  function writePiece(index: number, piece: ExtractPiece, open: Map<string, number>): void {
    const plain = chunks.plain(piece.chunk);
    if (!(plain instanceof Uint8Array)) {
      outcome.badChunks.set(plain.chunk, plain);
      outcome.piecesAgain.push(index);
      return;
    }
    if (plain.length !== piece.length) throw wrongLength(plain.length, piece.length);
    const fd = openLarge(folders, batch.folders[piece.folder]!, piece, open);
    for (const { to, from, length } of piece.segments) writeAll(fd, plain.subarray(from, from + length), to);
  }
};

function plainsOf(file: ExtractFile, chunks: BatchChunks, outcome: Outcome): Uint8Array[] | undefined {
  const plains: Uint8Array[] = [];
  let bad = false;
  for (const ref of file.refs) {
    const plain = chunks.plain(ref.chunk);
    if (!(plain instanceof Uint8Array)) {
      outcome.badChunks.set(plain.chunk, plain);
      bad = true;
    } else {
      if (plain.length !== ref.length) throw wrongLength(plain.length, ref.length);
      plains.push(plain);
    }
  }
  return bad ? undefined : plains;
}

/** Exclusive and never through a symlink: whatever is planted under the name is not written to. */
export function createFile(dir: number, name: Uint8Array, replace: boolean): number {
  const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
  try {
    return openAt(dir, name, flags, 0o600);
  } catch (error) {
    if (!replace || errnoOf(error) !== 'EEXIST') throw error;
    removeFileAt(dir, name);
    return openAt(dir, name, flags, 0o600);
  }
}

/** What was there is given up only for bytes that are on stable storage. */
export function syncBeforeReplacing(dir: number, name: Uint8Array, fd: number): void {
  if (statAt(dir, name) !== undefined) fsyncSync(fd);
}

/** A file is there whole or not at all. */
export function removeHalfWritten(dir: number, name: Uint8Array): void {
  try {
    removeFileAt(dir, name);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
}

function writeContent(fd: number, file: ExtractFile, plains: readonly Uint8Array[]): void {
  if (file.holes === undefined) {
    for (const plain of plains) writeAll(fd, plain, null);
    return;
  }
  ftruncateSync(fd, file.size);
  const place = createContentLayout(file.size, file.holes);
  for (const plain of plains) {
    for (const { to, from, length } of place(plain.length)) writeAll(fd, plain.subarray(from, from + length), to);
  }
}

function writeAll(fd: number, bytes: Uint8Array, position: number | null): void {
  let done = 0;
  while (done < bytes.length) {
    done += writeSync(fd, bytes, done, bytes.length - done, position === null ? null : position + done);
  }
}

function openLarge(folders: FolderCache, folder: Uint8Array, piece: ExtractPiece, open: Map<string, number>): number {
  const key = Buffer.concat([folder, Buffer.from('/'), piece.name]).toString('latin1');
  let fd = open.get(key);
  if (fd === undefined) {
    fd = openAt(folders.folder(folder), piece.name, O_WRONLY | O_NOFOLLOW);
    open.set(key, fd);
  }
  return fd;
}

function countUses(batch: UnpackedBatch): Uint32Array {
  const uses = new Uint32Array(batch.chunks.length);
  for (const file of batch.files) for (const ref of file.refs) uses[ref.chunk]!++;
  for (const piece of batch.pieces) uses[piece.chunk]!++;
  return uses;
}

function wrongLength(found: number, wanted: number): EdgeError {
  return new EdgeError('E_INTEGRITY', `a chunk has ${found} bytes where the file's entry says ${wanted}`);
}

export function failureOf(index: number, error: unknown): ItemFailure {
  const { code, message } = toEdgeError(error);
  return { index, code, message };
}
