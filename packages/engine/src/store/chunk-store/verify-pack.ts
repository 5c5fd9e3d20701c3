import { open } from 'node:fs/promises';
import { bytesEqual } from '../../core/bytes.ts';
import { errnoOf, isEdgeError, toEdgeError } from '../../core/errors.ts';
import type { ChunkId, PackName } from '../../core/ids.ts';
import type { FrameRow } from '../../core/ports/index.ts';
import { decodeFrameHeader } from '../../pack/frame-header.ts';
import { FRAME_HEADER_BYTES } from '../../pack/layout.ts';
import { readPackTail, readUpTo } from './read-pack-tail.ts';
import { sha256Matches } from './sealed-hash.ts';

export interface BadFrame {
  readonly id: ChunkId;
  readonly offset: number;
  readonly detail: string;
}

export interface PackVerdict {
  /** 'absent': no such file. 'unreadable': header, index or footer are damaged, so its frames cannot be judged. */
  readonly state: 'good' | 'damaged' | 'unreadable' | 'absent';
  readonly detail: string | undefined;
  readonly frames: readonly FrameRow[];
  readonly bad: readonly BadFrame[];
  readonly bytes: number;
}

/** Reads a whole pack file and compares every frame with the pack's own index. Needs no key. Throws only when the medium cannot be asked. */
export async function verifyPack(path: string, name: PackName, signal?: AbortSignal): Promise<PackVerdict> {
  let contents: Awaited<ReturnType<typeof readPackTail>>;
  try {
    contents = await readPackTail(path, name);
  } catch (error) {
    if (!isEdgeError(error, 'E_INTEGRITY', 'E_FORMAT')) throw error;
    return { state: 'unreadable', detail: error.message, frames: [], bad: [], bytes: 0 };
  }
  if (contents === undefined)
    return { state: 'absent', detail: 'there is no such file', frames: [], bad: [], bytes: 0 };
  const bad: BadFrame[] = [];
  const file = await open(path, 'r').catch((error: unknown) => {
    throw toEdgeError(error, `opening pack ${path}`);
  });
  try {
    for (const frame of contents.frames) {
      signal?.throwIfAborted();
      const bytes = Buffer.allocUnsafe(FRAME_HEADER_BYTES + frame.sealedBytes);
      let detail: string | undefined;
      try {
        const read = await readUpTo(file, bytes, frame.offset - FRAME_HEADER_BYTES);
        detail = problemOf(bytes.subarray(0, read), frame);
      } catch (error) {
        if (errnoOf(error) !== 'EIO') throw toEdgeError(error, `reading pack ${path}`);
        detail = 'the disk cannot read it (EIO)';
      }
      if (detail !== undefined) bad.push({ id: frame.id, offset: frame.offset, detail });
    }
  } finally {
    await file.close();
  }
  return {
    state: bad.length === 0 ? 'good' : 'damaged',
    detail: bad.length === 0 ? undefined : `${bad.length} of ${contents.frames.length} frames are damaged`,
    frames: contents.frames,
    bad,
    bytes: contents.bytes,
  };
}

function problemOf(bytes: Uint8Array, frame: FrameRow): string | undefined {
  if (bytes.length < FRAME_HEADER_BYTES + frame.sealedBytes) return 'the file ends within it';
  try {
    const header = decodeFrameHeader(bytes);
    if (!bytesEqual(header.id, frame.id) || header.sealedBytes !== frame.sealedBytes || header.keyId !== frame.keyId) {
      return 'its frame header says something else than the index';
    }
  } catch (error) {
    if (isEdgeError(error, 'E_FORMAT')) return error.message;
    throw error;
  }
  return sha256Matches(bytes.subarray(FRAME_HEADER_BYTES), frame.sealedSha256)
    ? undefined
    : 'its bytes are not those that were stored';
}
