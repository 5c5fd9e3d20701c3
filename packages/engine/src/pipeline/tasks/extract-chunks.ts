/** The plaintexts of one batch's chunks: pack ranges are read once, neighbours together, and each chunk is verified before it is handed out. */
import { closeSync, openSync, readSync } from 'node:fs';
import type { Opener } from '../../codec/open.ts';
import { errnoOf, isEdgeError } from '../../core/errors.ts';
import { ChunkKind } from '../../core/ids.ts';
import type { MissReason } from '../../core/ports/sealed-source.ts';
import { readErrorOf } from '../../core/read-errors.ts';
import { wasRead } from '../../files/read-file.ts';
import type { WorkerContext } from '../worker-context.ts';
import type { ExtractChunk } from './extract-batch.ts';

/** A chunk that could not be had from where the batch said; another copy may do. */
export interface BadChunk {
  readonly chunk: number;
  readonly reason: MissReason;
  readonly detail: string;
}

export interface BatchChunks {
  /** The chunk's verified plaintext, or what is wrong with it. */
  plain(chunk: number): Uint8Array | BadChunk;
}

/** Reading on over a gap of this many bytes costs less than another system call and seek. */
const GAP_BYTES_MAX = 64 * 1024;
/** What is read in long ranges is read once: the memory of its pages is better used for the files that are written. */
const FORGOTTEN_BYTES_MIN = 512 * 1024;
const SCRATCH_KEY = 'extract.scratch';

interface Range {
  readonly pack: string;
  readonly start: number;
  end: number;
  readonly chunks: number[];
}

/** Reads everything that the batch needs from local packs. `uses` says how often each chunk will be asked for. */
export function openBatchChunks(
  chunks: readonly ExtractChunk[],
  uses: Uint32Array,
  opener: Opener,
  context: WorkerContext,
): BatchChunks {
  const sealed = readRanges(chunks, context);
  const kept = new Map<number, Uint8Array | BadChunk>();
  return {
    plain(chunk) {
      const known = kept.get(chunk);
      if (known !== undefined) return known;
      const result = open(chunk);
      if (!(result instanceof Uint8Array) || uses[chunk]! > 1) kept.set(chunk, result);
      return result;
    },
  };

  function open(chunk: number): Uint8Array | BadChunk {
    const bytes = sealed[chunk]!;
    if (!(bytes instanceof Uint8Array)) return bytes;
    const { id, keyId, identified } = chunks[chunk]!;
    try {
      return opener.open(ChunkKind.data, id, keyId, bytes, { identify: !identified });
    } catch (error) {
      if (!isEdgeError(error, 'E_INTEGRITY', 'E_FORMAT')) throw error;
      return { chunk, reason: 'damaged', detail: error.message };
    }
  }
}

/** Sealed bytes by chunk, as views of scratch memory that the next batch on this worker uses again. */
function readRanges(chunks: readonly ExtractChunk[], context: WorkerContext): (Uint8Array | BadChunk)[] {
  const sealed: (Uint8Array | BadChunk)[] = new Array(chunks.length);
  const inPacks: { readonly chunk: number; readonly pack: string; readonly offset: number }[] = [];
  for (const [chunk, { place }] of chunks.entries()) {
    if ('sealed' in place) sealed[chunk] = place.sealed;
    else inPacks.push({ chunk, ...place });
  }
  inPacks.sort((a, b) => (a.pack < b.pack ? -1 : a.pack > b.pack ? 1 : a.offset - b.offset));
  const ranges: Range[] = [];
  for (const { chunk, pack, offset } of inPacks) {
    const end = offset + chunks[chunk]!.sealedBytes;
    const last = ranges.at(-1);
    if (last !== undefined && last.pack === pack && offset <= last.end + GAP_BYTES_MAX) {
      last.end = Math.max(last.end, end);
      last.chunks.push(chunk);
    } else {
      ranges.push({ pack, start: offset, end, chunks: [chunk] });
    }
  }
  const scratch = scratchOf(
    context,
    ranges.reduce((sum, range) => sum + range.end - range.start, 0),
  );
  let at = 0;
  let file: { readonly pack: string; readonly fd: number } | undefined;
  try {
    for (const range of ranges) {
      const length = range.end - range.start;
      const into = scratch.subarray(at, at + length);
      at += length;
      let filled = 0;
      let problem: { readonly reason: MissReason; readonly detail: string } | undefined;
      try {
        if (file?.pack !== range.pack) {
          if (file !== undefined) closeSync(file.fd);
          file = undefined;
          file = { pack: range.pack, fd: openSync(range.pack, 'r') };
        }
        filled = readFrom(file.fd, into, range.start);
        if (length >= FORGOTTEN_BYTES_MIN) wasRead(file.fd, range.start, length);
        if (filled < length) problem = { reason: 'damaged', detail: 'the pack ends before the chunk does' };
      } catch (error) {
        // What the main thread finds out: whether the pack was moved, or its disk is away.
        const isAbsent = errnoOf(error) === 'ENOENT';
        if (!isAbsent && readErrorOf(error) === undefined) throw error;
        // The medium does not give these bytes now; another copy may.
        problem = { reason: isAbsent ? 'absent' : 'unreadable', detail: (error as Error).message };
      }
      for (const chunk of range.chunks) {
        const place = chunks[chunk]!.place as { readonly offset: number };
        const from = place.offset - range.start;
        const to = from + chunks[chunk]!.sealedBytes;
        sealed[chunk] = problem !== undefined && to > filled ? { chunk, ...problem } : into.subarray(from, to);
      }
    }
  } finally {
    if (file !== undefined) closeSync(file.fd);
  }
  return sealed;
}

function readFrom(fd: number, into: Uint8Array, position: number): number {
  let filled = 0;
  while (filled < into.length) {
    const got = readSync(fd, into, filled, into.length - filled, position + filled);
    if (got === 0) break;
    filled += got;
  }
  return filled;
}

function scratchOf(context: WorkerContext, length: number): Uint8Array {
  let scratch = context.kept.get(SCRATCH_KEY) as Uint8Array | undefined;
  if (scratch === undefined || scratch.length < length) {
    scratch = Buffer.allocUnsafeSlow(Math.max(length, 1024 * 1024));
    context.kept.set(SCRATCH_KEY, scratch);
  }
  return scratch;
}
