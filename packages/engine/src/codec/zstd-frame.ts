/** Walks a zstd frame (RFC 8878) without decompressing it, so that what a decoder is asked to do is bounded beforehand. */
import { asBuffer } from '../core/bytes.ts';

export interface ZstdFrame {
  /** Bytes of the frame, from its magic number to the end of its last block or checksum. */
  readonly frameBytes: number;
  /** The decompressed length that the header states; undefined when it states none. */
  readonly contentBytes: number | undefined;
  /** The memory that the frame asks a decoder to keep. */
  readonly windowBytes: number;
}

const MAGIC = 0xfd2fb528;

/** The first frame in `bytes`, or undefined when it is no complete, well-formed frame, or needs a dictionary. */
export function readZstdFrame(bytes: Uint8Array): ZstdFrame | undefined {
  const buffer = asBuffer(bytes);
  if (buffer.length < 6 || buffer.readUInt32LE(0) !== MAGIC) return undefined;
  const descriptor = buffer[4]!;
  const singleSegment = (descriptor & 0x20) !== 0;
  const reservedBit = (descriptor & 0x08) !== 0;
  const hasDictionary = (descriptor & 0x03) !== 0;
  if (reservedBit || hasDictionary) return undefined;

  let at = 5;
  let windowBytes: number | undefined;
  if (!singleSegment) {
    const exponent = buffer[at]! >> 3;
    const mantissa = buffer[at]! & 7;
    const base = 2 ** (10 + exponent);
    windowBytes = base + (base / 8) * mantissa;
    at += 1;
  }
  const contentFieldBytes = [singleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6]!;
  if (at + contentFieldBytes > buffer.length) return undefined;
  const contentBytes = readContentBytes(buffer, at, contentFieldBytes);
  at += contentFieldBytes;

  for (;;) {
    if (at + 3 > buffer.length) return undefined;
    const header = buffer.readUIntLE(at, 3);
    const blockType = (header >> 1) & 3;
    if (blockType === 3) return undefined;
    // A run-length block stores one byte whatever its size says.
    at += 3 + (blockType === 1 ? 1 : header >> 3);
    if ((header & 1) === 1) break;
  }
  if ((descriptor & 0x04) !== 0) at += 4;
  if (at > buffer.length) return undefined;
  return { frameBytes: at, contentBytes, windowBytes: windowBytes ?? contentBytes ?? 0 };
}

function readContentBytes(buffer: Buffer, at: number, fieldBytes: number): number | undefined {
  switch (fieldBytes) {
    case 1:
      return buffer.readUInt8(at);
    case 2:
      return buffer.readUInt16LE(at) + 256;
    case 4:
      return buffer.readUInt32LE(at);
    case 8:
      return Number(buffer.readBigUInt64LE(at));
    default:
      return undefined;
  }
}
