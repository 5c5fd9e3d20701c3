import { createHash } from 'node:crypto';
import { asBuffer, ByteReader, bytesEqual } from '../core/bytes.ts';
import { ChunkIdSet } from '../core/chunk-id-set.ts';
import { EdgeError, formatError, newerFormatError } from '../core/errors.ts';
import type { PackClass, PackName, VaultId } from '../core/ids.ts';
import { CHUNK_SEALED_BYTES_MAX, PACK_BYTES_MAX, PACK_FRAMES_MAX } from '../core/limits.ts';
import type { FrameRow } from '../core/ports/index.ts';
import {
  FOOTER_MAGIC,
  FRAME_HEADER_BYTES,
  INDEX_ENTRY_BYTES,
  PACK_FOOTER_BYTES,
  PACK_HEADER_BYTES,
  PACK_VERSION,
} from './layout.ts';
import { decodePackHeader } from './pack-header.ts';

/** What the last 64 bytes of a pack say; the tail begins at `indexOffset`. */
export interface PackFooter {
  readonly indexOffset: number;
  readonly frames: number;
  readonly indexSha256: Uint8Array;
  /** When the youngest of the pack's chunks was first stored, in nanoseconds since 1970. */
  readonly storedNs: bigint;
}

/** A pack as its header and tail describe it. */
export interface PackContents {
  readonly vault: VaultId;
  readonly packClass: PackClass;
  readonly name: PackName;
  /** When the youngest of its chunks was first stored, in nanoseconds since 1970. */
  readonly storedNs: bigint;
  /** In the order of their offsets. `identified` is false: nobody opened them. */
  readonly frames: readonly FrameRow[];
}

const STORED_NS_MAX = 2n ** 63n - 1n;

/** Bytes of index and footer of a pack with so many frames. */
export function packTailBytes(frames: number): number {
  return frames * INDEX_ENTRY_BYTES + PACK_FOOTER_BYTES;
}

/** Writes the index entry of a frame at `at`. The offset is within a pack: it has at most 48 bits. */
export function writeIndexEntry(index: Buffer, at: number, frame: Omit<FrameRow, 'identified'>): void {
  index.set(frame.id, at);
  index.writeUIntLE(frame.offset, at + 32, 6);
  index.writeUInt16LE(0, at + 38);
  index.writeUInt32LE(frame.sealedBytes, at + 40);
  index.writeUInt32LE(frame.keyId, at + 44);
  index.set(frame.sealedSha256, at + 48);
}

/** Index and footer; `end` is the offset just behind the last frame. `storedNs` from before 1970 becomes 0. */
export function encodePackTail(index: Uint8Array, end: number, storedNs: bigint): Buffer {
  const out = Buffer.alloc(index.length + PACK_FOOTER_BYTES);
  out.set(index, 0);
  const at = index.length;
  const digest = createHash('sha256').update(index).digest();
  out.writeBigUInt64LE(BigInt(end), at);
  out.writeUInt32LE(index.length / INDEX_ENTRY_BYTES, at + 8);
  out.writeUInt32LE(PACK_VERSION, at + 12);
  out.set(digest, at + 16);
  out.writeBigUInt64LE(storedNs < 0n ? 0n : storedNs, at + 48);
  out.set(FOOTER_MAGIC, at + 56);
  return out;
}

/**
 * Reads the last 64 bytes of a pack, so that the reader knows how much tail to get. E_FORMAT when they are no footer or claim more than a pack
 * may have; E_NEWER_FORMAT for a later version.
 */
export function readPackFooter(last: Uint8Array): PackFooter {
  const what = 'pack footer';
  if (last.length < PACK_FOOTER_BYTES) throw formatError(what, `${last.length} bytes are too few`);
  const reader = new ByteReader(last.subarray(last.length - PACK_FOOTER_BYTES), what);
  // The magic is last in the file; it is looked at first, because nothing else means anything without it.
  if (!bytesEqual(last.subarray(last.length - FOOTER_MAGIC.length), FOOTER_MAGIC)) {
    throw formatError(what, 'it does not end with the right magic bytes: the pack is cut short or no pack');
  }
  const indexOffset = reader.u64();
  const frames = reader.u32();
  const version = reader.u32();
  const indexSha256 = reader.bytes(32);
  if (version > PACK_VERSION) throw newerFormatError('pack', `version ${version}`);
  if (version < 1) throw formatError(what, 'version 0');
  if (frames < 1 || frames > PACK_FRAMES_MAX) throw formatError(what, `${frames} frames`);
  if (indexOffset <= PACK_HEADER_BYTES + FRAME_HEADER_BYTES || indexOffset + packTailBytes(frames) > PACK_BYTES_MAX) {
    throw formatError(what, `an index of ${frames} frames at ${indexOffset}`);
  }
  const storedNs = asBuffer(reader.bytes(8)).readBigUInt64LE();
  // What the index keeps is a signed number.
  if (storedNs > STORED_NS_MAX) throw formatError(what, 'the time of storing is out of range');
  return { indexOffset, frames, indexSha256: new Uint8Array(indexSha256), storedNs };
}

/**
 * Reads a pack's index. `tail` is index and footer exactly (see `packTailBytes`), `header` the first 64 bytes, `size` the size of the whole pack.
 * E_FORMAT when anything contradicts: a gap or overlap between frames, a wrong size, an index that is not the one its footer signed off.
 * The caller compares `name` with the name that the pack is stored under.
 */
export function decodePackTail(tail: Uint8Array, header: Uint8Array, size: number): PackContents {
  const what = 'pack index';
  const { vault, packClass } = decodePackHeader(header);
  const footer = readPackFooter(tail);
  if (packTailBytes(footer.frames) !== tail.length)
    throw formatError(what, `${tail.length} bytes for ${footer.frames} frames`);
  if (footer.indexOffset + tail.length !== size)
    throw formatError(what, `the pack has ${size} bytes, not ${footer.indexOffset + tail.length}`);
  const index = asBuffer(tail.subarray(0, tail.length - PACK_FOOTER_BYTES));
  if (!createHash('sha256').update(index).digest().equals(footer.indexSha256))
    throw formatError(what, 'its checksum is wrong');
  const frames: FrameRow[] = new Array(footer.frames);
  const seen = new ChunkIdSet();
  let end = PACK_HEADER_BYTES;
  for (let i = 0; i < footer.frames; i++) {
    const frame = readRow(index, i * INDEX_ENTRY_BYTES, what);
    if (frame.offset !== end + FRAME_HEADER_BYTES) throw formatError(what, `frame ${i} leaves a gap or overlaps`);
    end = frame.offset + frame.sealedBytes;
    seen.add(frame.id);
    frames[i] = frame;
  }
  if (end !== footer.indexOffset)
    throw formatError(what, `the frames end at ${end}, the index begins at ${footer.indexOffset}`);
  if (seen.size !== frames.length) throw formatError(what, 'a chunk id is there twice');
  const name = createHash('sha256').update(header.subarray(0, PACK_HEADER_BYTES)).update(tail).digest('hex');
  return { vault, packClass, name, storedNs: footer.storedNs, frames };
}

/** Fails with E_INTEGRITY unless header and tail are those of the pack of this name. */
export function verifyPackName(name: PackName, header: Uint8Array, tail: Uint8Array): void {
  const found = createHash('sha256').update(header.subarray(0, PACK_HEADER_BYTES)).update(tail).digest('hex');
  if (found !== name) {
    throw new EdgeError(
      'E_INTEGRITY',
      `pack ${name} is damaged: its header or index is not the one it was named after`,
      {
        context: { pack: name, found },
      },
    );
  }
}

/** The frame of an index entry. Its bytes are copies. E_FORMAT when it claims more than a chunk may have. */
export function readRow(index: Buffer, at: number, what: string): FrameRow {
  const offset = Number(index.readBigUInt64LE(at + 32));
  const sealedBytes = index.readUInt32LE(at + 40);
  if (sealedBytes < 1 || sealedBytes > CHUNK_SEALED_BYTES_MAX)
    throw formatError(what, `a sealed chunk of ${sealedBytes} bytes`);
  return {
    id: new Uint8Array(index.subarray(at, at + 32)),
    keyId: index.readUInt32LE(at + 44),
    offset,
    sealedBytes,
    sealedSha256: new Uint8Array(index.subarray(at + 48, at + 80)),
    identified: false,
  };
}
