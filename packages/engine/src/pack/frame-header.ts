import { formatError } from '../core/errors.ts';
import type { ChunkId, PackClass } from '../core/ids.ts';
import { CHUNK_SEALED_BYTES_MAX } from '../core/limits.ts';
import { CLASS_CODE, FRAME_HEADER_BYTES, FRAME_MAGIC, packClassOfCode } from './layout.ts';

/** The clear words before a sealed chunk. They are a place to look, never believed about the content. */
export interface FrameHeader {
  readonly id: ChunkId;
  readonly packClass: PackClass;
  readonly keyId: number;
  readonly sealedBytes: number;
}

/** The 48 bytes before a sealed chunk, in packs and on the wire between peers. */
export function encodeFrameHeader({ id, packClass, keyId, sealedBytes }: FrameHeader): Uint8Array {
  const out = Buffer.alloc(FRAME_HEADER_BYTES);
  writeFrameHeader(out, 0, id, packClass, keyId, sealedBytes);
  return out;
}

/** Writes them at `at`. */
export function writeFrameHeader(
  into: Buffer,
  at: number,
  id: ChunkId,
  packClass: PackClass,
  keyId: number,
  sealedBytes: number,
): void {
  into.set(FRAME_MAGIC, at);
  into.writeUInt32LE(sealedBytes, at + 4);
  into.writeUInt32LE(keyId, at + 8);
  // The class, and three reserved bytes.
  into.writeUInt32LE(CLASS_CODE[packClass], at + 12);
  into.set(id, at + 16);
}

/** Reads the 48 bytes at `offset`. The id is a copy. E_FORMAT when they are no frame header or claim more than a chunk may have. */
export function decodeFrameHeader(bytes: Uint8Array, offset = 0): FrameHeader {
  const what = 'frame header';
  if (bytes.length - offset < FRAME_HEADER_BYTES) throw formatError(what, 'it is cut short');
  const view = Buffer.from(bytes.buffer, bytes.byteOffset + offset, FRAME_HEADER_BYTES);
  if (!view.subarray(0, 4).equals(FRAME_MAGIC)) throw formatError(what, 'it does not begin with the right magic bytes');
  const sealedBytes = view.readUInt32LE(4);
  if (sealedBytes < 1 || sealedBytes > CHUNK_SEALED_BYTES_MAX)
    throw formatError(what, `a sealed chunk of ${sealedBytes} bytes`);
  const packClass = packClassOfCode(view[12]!);
  if (packClass === undefined) throw formatError(what, `class ${view[12]} is unknown`);
  if (view[13] !== 0 || view[14] !== 0 || view[15] !== 0) throw formatError(what, 'reserved bytes are not zero');
  return { id: new Uint8Array(view.subarray(16, 48)), packClass, keyId: view.readUInt32LE(8), sealedBytes };
}
