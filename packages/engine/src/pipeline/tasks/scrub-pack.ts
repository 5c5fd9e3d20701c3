/** Reads a whole pack again and says what is wrong with it: name and index, the hash of every frame, and with the keys what the frames open to. */

import { hash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import type { Opener } from '../../codec/open.ts';
import { asBuffer, bytesEqual } from '../../core/bytes.ts';
import { EdgeError, errnoOf, isEdgeError } from '../../core/errors.ts';
import { type ChunkId, ChunkKind, type PackClass, type PackName } from '../../core/ids.ts';
import { PACK_BYTES_MAX } from '../../core/limits.ts';
import type { FrameRow } from '../../core/ports/index.ts';
import { cannotRead, readErrorOf } from '../../core/read-errors.ts';
import { willVerify } from '../../files/read-file.ts';
import { decodeFrameHeader } from '../../pack/frame-header.ts';
import { FRAME_HEADER_BYTES, PACK_FOOTER_BYTES, PACK_HEADER_BYTES } from '../../pack/layout.ts';
import { decodePackHeader } from '../../pack/pack-header.ts';
import { decodePackTail, readPackFooter } from '../../pack/pack-tail.ts';
import type { Task } from '../task.ts';

export interface ScrubPackTask {
  readonly input: {
    readonly name: PackName;
    readonly packClass: PackClass;
    /** The pack's file, or all of its bytes. */
    readonly from: { readonly path: string } | { readonly bytes: Uint8Array };
    /** Frames as the index knows them; judged by these where the pack's own index is damaged. */
    readonly known: readonly FrameRow[];
  };
  readonly output: ScrubbedPack;
}

export interface ScrubbedPack {
  readonly bytes: number;
  readonly frames: number;
  /** The file is not there. */
  readonly absent: boolean;
  /** What is wrong with header, index, footer or name. */
  readonly tail: string | undefined;
  /** Whether that is damage, or an error of reading. */
  readonly tailReason: 'damaged' | 'unreadable' | undefined;
  /** A later format: nothing of it was judged. */
  readonly isNewer: boolean;
  readonly bad: readonly BadFrame[];
}

export interface BadFrame {
  readonly id: ChunkId;
  readonly offset: number;
  readonly reason: 'damaged' | 'unreadable';
  readonly detail: string;
}

interface PackBytes {
  readonly size: number;
  /** Fewer bytes only at the end. Valid until the next call. */
  read(offset: number, length: number): Uint8Array;
}

export const task: Task<ScrubPackTask['input'], ScrubPackTask['output']> = async (
  { name, packClass, from, known },
  context,
) => {
  const opener = await context.opener();
  if ('bytes' in from)
    return { output: scrub({ size: from.bytes.length, read: (at, length) => from.bytes.subarray(at, at + length) }) };
  let fd: number;
  try {
    fd = openSync(from.path, 'r');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return { output: { ...NOTHING, absent: true } };
    const errno = readErrorOf(error);
    if (errno === undefined) throw error;
    const detail = cannotRead(errno);
    const bad = known.map(({ id, offset }) => ({ id, offset, reason: 'unreadable', detail }) as const);
    return { output: { ...NOTHING, frames: known.length, tail: detail, tailReason: 'unreadable', bad } };
  }
  try {
    return { output: scrub(fileBytes(fd)) };
  } finally {
    closeSync(fd);
  }

  function scrub(pack: PackBytes): ScrubbedPack {
    const { frames, problem, reason, isNewer = false } = readIndex(pack, name, packClass);
    if (isNewer) return { ...NOTHING, bytes: pack.size, tail: problem, isNewer };
    const bad: BadFrame[] = [];
    const rows = frames ?? known;
    for (const row of rows) {
      const found = frameProblem(pack, row, packClass, opener);
      if (found !== undefined) bad.push({ id: row.id, offset: row.offset, ...found });
    }
    return { bytes: pack.size, frames: rows.length, absent: false, tail: problem, tailReason: reason, isNewer, bad };
  }
};

const NOTHING = {
  bytes: 0,
  frames: 0,
  absent: false,
  tail: undefined,
  tailReason: undefined,
  isNewer: false,
  bad: [],
} as const;

interface PackIndex {
  readonly frames?: readonly FrameRow[];
  readonly problem: string | undefined;
  readonly reason: 'damaged' | 'unreadable' | undefined;
  readonly isNewer?: boolean;
}

function readIndex(pack: PackBytes, name: PackName, packClass: PackClass): PackIndex {
  const damaged = (problem: string): PackIndex => ({ problem, reason: 'damaged' });
  try {
    if (pack.size > PACK_BYTES_MAX) throw new EdgeError('E_FORMAT', `it has ${pack.size} bytes`);
    const header = Buffer.from(pack.read(0, PACK_HEADER_BYTES));
    // A later format may have another footer, too.
    decodePackHeader(header);
    const footer = readPackFooter(
      Buffer.from(pack.read(Math.max(0, pack.size - PACK_FOOTER_BYTES), PACK_FOOTER_BYTES)),
    );
    const tail = Buffer.from(pack.read(footer.indexOffset, pack.size - footer.indexOffset));
    const contents = decodePackTail(tail, header, pack.size);
    if (contents.name !== name) return damaged('its header and index are not those that it was named after');
    if (contents.packClass !== packClass) return damaged(`it says that it is a pack of ${contents.packClass}`);
    return { frames: contents.frames, problem: undefined, reason: undefined };
  } catch (error) {
    if (isEdgeError(error, 'E_NEWER_FORMAT')) return { ...damaged(error.message), isNewer: true };
    if (isEdgeError(error, 'E_FORMAT', 'E_INTEGRITY')) return damaged(error.message);
    const errno = readErrorOf(error);
    if (errno === undefined) throw error;
    return { problem: cannotRead(errno), reason: 'unreadable' };
  }
}

function frameProblem(
  pack: PackBytes,
  row: FrameRow,
  packClass: PackClass,
  opener: Opener,
): Pick<BadFrame, 'reason' | 'detail'> | undefined {
  let bytes: Uint8Array;
  try {
    bytes = pack.read(row.offset - FRAME_HEADER_BYTES, FRAME_HEADER_BYTES + row.sealedBytes);
  } catch (error) {
    const errno = readErrorOf(error);
    if (errno === undefined) throw error;
    return { reason: 'unreadable', detail: cannotRead(errno) };
  }
  const detail = damageOf(bytes, row, packClass, opener);
  return detail === undefined ? undefined : { reason: 'damaged', detail };
}

function damageOf(bytes: Uint8Array, row: FrameRow, packClass: PackClass, opener: Opener): string | undefined {
  if (bytes.length < FRAME_HEADER_BYTES + row.sealedBytes) return 'the pack ends within it';
  const sealed = bytes.subarray(FRAME_HEADER_BYTES);
  if (!bytesEqual(hash('sha256', asBuffer(sealed), 'buffer'), row.sealedSha256))
    return 'its bytes are not those that were stored';
  try {
    const header = decodeFrameHeader(bytes);
    const same = bytesEqual(header.id, row.id) && header.keyId === row.keyId && header.sealedBytes === row.sealedBytes;
    if (!same || header.packClass !== packClass) return 'its frame header says something else than the index';
  } catch (error) {
    if (isEdgeError(error, 'E_FORMAT', 'E_NEWER_FORMAT')) return error.message;
    throw error;
  }
  return openProblem(sealed, row, packClass, opener);
}

/** A store sees only meta or data; of meta the kind is tried out, since it is bound into the tag. */
function openProblem(sealed: Uint8Array, row: FrameRow, packClass: PackClass, opener: Opener): string | undefined {
  const kinds = packClass === 'data' ? [ChunkKind.data] : [ChunkKind.tree, ChunkKind.list];
  let problem: string | undefined;
  for (const kind of kinds) {
    try {
      opener.open(kind, row.id, row.keyId, sealed);
      return undefined;
    } catch (error) {
      if (!isEdgeError(error, 'E_INTEGRITY', 'E_FORMAT')) throw error;
      problem ??= error.message;
    }
  }
  return problem;
}

/** Reads on beyond what was asked for, because frames are asked for one behind the other. */
function fileBytes(fd: number): PackBytes {
  const size = fstatSync(fd).size;
  let buffer: Buffer = Buffer.alloc(0);
  let start = 0;
  return {
    size,
    read(offset, length) {
      if (offset < start || offset + length > start + buffer.length) {
        try {
          buffer = readAt(fd, offset, Math.min(Math.max(length, READ_BYTES), Math.max(0, size - offset)));
        } catch (error) {
          if (readErrorOf(error) === undefined) throw error;
          // The error may be of a place behind the one that was asked for.
          buffer = readAt(fd, offset, Math.min(length, Math.max(0, size - offset)));
        }
        start = offset;
      }
      return buffer.subarray(offset - start, offset - start + length);
    },
  };
}

function readAt(fd: number, offset: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  willVerify(fd, offset, length);
  let filled = 0;
  while (filled < length) {
    const got = readSync(fd, bytes, filled, length - filled, offset + filled);
    if (got === 0) break;
    filled += got;
  }
  return bytes.subarray(0, filled);
}

const READ_BYTES = 4 * 1024 * 1024;
