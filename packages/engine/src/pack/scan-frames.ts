import { hash } from 'node:crypto';
import { isEdgeError } from '../core/errors.ts';
import type { PackClass } from '../core/ids.ts';
import type { FrameRow } from '../core/ports/index.ts';
import { decodeFrameHeader } from './frame-header.ts';
import { FRAME_HEADER_BYTES, PACK_HEADER_BYTES } from './layout.ts';
import { decodePackHeader } from './pack-header.ts';

/** A frame found by walking; `sealed` is a view into the given bytes. */
export interface ScannedFrame extends FrameRow {
  readonly packClass: PackClass;
  readonly sealed: Uint8Array;
}

/** Where the walk ended: just behind the last whole frame, and how many bytes lie behind it. */
export interface ScanEnd {
  readonly offset: number;
  readonly rest: number;
}

/**
 * Walks the frames of a pack without its index (it is cut off or damaged), from the first one until what follows is no whole frame of the
 * pack's class. What it yields is only a place to look: whoever uses a frame opens it first. E_FORMAT when even the header is no pack's.
 */
export function* scanFrames(bytes: Uint8Array): Generator<ScannedFrame, ScanEnd> {
  const { packClass } = decodePackHeader(bytes);
  let at = PACK_HEADER_BYTES;
  for (;;) {
    const frame = frameAt(bytes, at);
    if (frame === undefined || frame.packClass !== packClass) return { offset: at, rest: bytes.length - at };
    at = frame.offset + frame.sealedBytes;
    yield frame;
  }
}

function frameAt(bytes: Uint8Array, at: number): ScannedFrame | undefined {
  try {
    const { id, packClass, keyId, sealedBytes } = decodeFrameHeader(bytes, at);
    const offset = at + FRAME_HEADER_BYTES;
    if (offset + sealedBytes > bytes.length) return undefined;
    const sealed = bytes.subarray(offset, offset + sealedBytes);
    const sealedSha256 = new Uint8Array(hash('sha256', sealed, 'buffer'));
    return { id, packClass, keyId, offset, sealedBytes, sealedSha256, identified: false, sealed };
  } catch (error) {
    if (isEdgeError(error, 'E_FORMAT')) return undefined;
    throw error;
  }
}
