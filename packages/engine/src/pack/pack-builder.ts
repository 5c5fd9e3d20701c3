import { createHash } from 'node:crypto';
import { concatBytes } from '../core/bytes.ts';
import { EdgeError } from '../core/errors.ts';
import { type PackClass, type PackName, toHex, type VaultId } from '../core/ids.ts';
import { CHUNK_SEALED_BYTES_MAX, PACK_BYTES_MAX, PACK_FRAMES_MAX } from '../core/limits.ts';
import type { SealedChunk } from '../core/ports/chunk-store.ts';
import type { FrameRow } from '../core/ports/index.ts';
import { encodeFrameHeader } from './frame-header.ts';
import { FRAME_HEADER_BYTES, INDEX_ENTRY_BYTES, PACK_FOOTER_BYTES, PACK_HEADER_BYTES } from './layout.ts';
import { encodePackHeader } from './pack-header.ts';
import { encodePackTail } from './pack-tail.ts';

/**
 * Lays out one pack while its frames are written elsewhere. The writer puts down `header()`, then for each chunk `frameHeader(chunk)` and the
 * sealed bytes, calling `add(chunk)` in the same order, and at last `finish().tail`. No sealed byte is kept here.
 */
export interface PackBuilder {
  readonly packClass: PackClass;
  /** Bytes that the pack has when it is finished now. */
  readonly bytes: number;
  readonly frames: number;
  /** The first 64 bytes of the pack. */
  header(): Uint8Array;
  /** The 48 bytes that go before the chunk's sealed bytes. */
  frameHeader(chunk: SealedChunk): Uint8Array;
  /** Takes the chunk as the next frame and says where its sealed bytes lie. E_FAILED for another class, the same id again, or a pack that is full. */
  add(chunk: SealedChunk): FrameRow;
  /** Index and footer, and the name that they give the pack. E_FAILED when there is no frame. */
  finish(): FinishedPack;
}

export interface FinishedPack {
  /** Index and footer: the last bytes of the pack. */
  readonly tail: Uint8Array;
  readonly name: PackName;
  /** Size of the whole pack. */
  readonly bytes: number;
  readonly frames: readonly FrameRow[];
}

/** A builder of one pack of one class. */
export function createPackBuilder(vault: VaultId, packClass: PackClass): PackBuilder {
  return new Builder(vault, packClass);
}

class Builder implements PackBuilder {
  readonly packClass: PackClass;
  readonly #header: Uint8Array;
  readonly #rows: FrameRow[] = [];
  readonly #ids = new Set<string>();
  #end = PACK_HEADER_BYTES;

  constructor(vault: VaultId, packClass: PackClass) {
    this.packClass = packClass;
    this.#header = encodePackHeader({ vault, packClass });
  }

  get bytes(): number {
    return this.#end + this.#rows.length * INDEX_ENTRY_BYTES + PACK_FOOTER_BYTES;
  }

  get frames(): number {
    return this.#rows.length;
  }

  header(): Uint8Array {
    return this.#header;
  }

  frameHeader(chunk: SealedChunk): Uint8Array {
    return encodeFrameHeader({
      id: chunk.id,
      packClass: chunk.packClass,
      keyId: chunk.keyId,
      sealedBytes: chunk.bytes.length,
    });
  }

  add(chunk: SealedChunk): FrameRow {
    const sealedBytes = chunk.bytes.length;
    const hex = toHex(chunk.id);
    const more = FRAME_HEADER_BYTES + sealedBytes + INDEX_ENTRY_BYTES;
    if (chunk.packClass !== this.packClass)
      throw new EdgeError('E_FAILED', `a ${chunk.packClass} chunk in a ${this.packClass} pack`);
    if (chunk.id.length !== 32 || chunk.sha256.length !== 32)
      throw new EdgeError('E_FAILED', 'a chunk id and a SHA-256 have 32 bytes');
    if (sealedBytes < 1 || sealedBytes > CHUNK_SEALED_BYTES_MAX) {
      throw new EdgeError('E_FAILED', `a sealed chunk of ${sealedBytes} bytes does not go into a pack`);
    }
    if (this.#ids.has(hex)) throw new EdgeError('E_FAILED', `chunk ${hex} is in this pack already`);
    if (this.#rows.length >= PACK_FRAMES_MAX || this.bytes + more > PACK_BYTES_MAX)
      throw new EdgeError('E_FAILED', 'this pack is full');
    this.#ids.add(hex);
    const row: FrameRow = {
      id: new Uint8Array(chunk.id),
      keyId: chunk.keyId,
      offset: this.#end + FRAME_HEADER_BYTES,
      sealedBytes,
      sealedSha256: new Uint8Array(chunk.sha256),
      identified: chunk.identified,
    };
    this.#rows.push(row);
    this.#end = row.offset + sealedBytes;
    return row;
  }

  finish(): FinishedPack {
    if (this.#rows.length === 0) throw new EdgeError('E_FAILED', 'a pack without frames is not written');
    const tail = encodePackTail(this.#rows, this.#end);
    return { tail, name: packNameOf(this.#header, tail), bytes: this.#end + tail.length, frames: this.#rows };
  }
}

/** The name of a pack: SHA-256(header ‖ index ‖ footer), as hex. It covers every frame through the index's SHA-256 of each. */
export function packNameOf(header: Uint8Array, tail: Uint8Array): PackName {
  return createHash('sha256')
    .update(concatBytes([header, tail]))
    .digest('hex');
}
