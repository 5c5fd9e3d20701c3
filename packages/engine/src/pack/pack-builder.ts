import { createHash } from 'node:crypto';
import { concatBytes } from '../core/bytes.ts';
import { ChunkIdSet } from '../core/chunk-id-set.ts';
import { EdgeError } from '../core/errors.ts';
import { type ChunkId, type PackClass, type PackName, toHex, type VaultId } from '../core/ids.ts';
import { CHUNK_SEALED_BYTES_MAX, PACK_BYTES_MAX, PACK_FRAMES_MAX } from '../core/limits.ts';
import type { SealedChunk } from '../core/ports/chunk-store.ts';
import type { FrameRow, FrameRows } from '../core/ports/index.ts';
import { encodeFrameHeader } from './frame-header.ts';
import { FRAME_HEADER_BYTES, INDEX_ENTRY_BYTES, PACK_FOOTER_BYTES, PACK_HEADER_BYTES } from './layout.ts';
import { encodePackHeader } from './pack-header.ts';
import { encodePackTail, readRow, writeIndexEntry } from './pack-tail.ts';

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
  /** Whether the chunk is one of its frames. */
  has(id: ChunkId): boolean;
  /** Takes the chunk as the next frame. E_FAILED for another class, the same id again, or a pack that is full. */
  add(chunk: SealedChunk): void;
  /**
   * Index and footer, and the name that they give the pack. `storedNs`: when the youngest of the chunks was first stored. E_FAILED when there is no
   * frame.
   */
  finish(storedNs: bigint): FinishedPack;
}

export interface FinishedPack {
  /** Index and footer: the last bytes of the pack. */
  readonly tail: Uint8Array;
  readonly name: PackName;
  /** Size of the whole pack. */
  readonly bytes: number;
  readonly frames: FrameRows;
}

/** A builder of one pack of one class. */
export function createPackBuilder(vault: VaultId, packClass: PackClass): PackBuilder {
  return new Builder(vault, packClass);
}

/** Room in the index to begin with. */
const INDEX_ENTRIES_FIRST = 64;

class Builder implements PackBuilder {
  readonly packClass: PackClass;
  readonly #header: Uint8Array;
  readonly #ids = new ChunkIdSet();
  /** The pack's index as far as there are frames: kept as the bytes that it becomes, not as objects that live as long as the pack is filled. */
  #index = Buffer.allocUnsafeSlow(INDEX_ENTRIES_FIRST * INDEX_ENTRY_BYTES);
  readonly #identified: boolean[] = [];
  #end = PACK_HEADER_BYTES;

  constructor(vault: VaultId, packClass: PackClass) {
    this.packClass = packClass;
    this.#header = encodePackHeader({ vault, packClass });
  }

  get bytes(): number {
    return this.#end + this.frames * INDEX_ENTRY_BYTES + PACK_FOOTER_BYTES;
  }

  get frames(): number {
    return this.#identified.length;
  }

  has(id: ChunkId): boolean {
    return this.#ids.has(id);
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

  add(chunk: SealedChunk): void {
    const sealedBytes = chunk.bytes.length;
    const more = FRAME_HEADER_BYTES + sealedBytes + INDEX_ENTRY_BYTES;
    if (chunk.packClass !== this.packClass)
      throw new EdgeError('E_FAILED', `a ${chunk.packClass} chunk in a ${this.packClass} pack`);
    if (chunk.id.length !== 32 || chunk.sha256.length !== 32)
      throw new EdgeError('E_FAILED', 'a chunk id and a SHA-256 have 32 bytes');
    if (sealedBytes < 1 || sealedBytes > CHUNK_SEALED_BYTES_MAX) {
      throw new EdgeError('E_FAILED', `a sealed chunk of ${sealedBytes} bytes does not go into a pack`);
    }
    if (this.frames >= PACK_FRAMES_MAX || this.bytes + more > PACK_BYTES_MAX)
      throw new EdgeError('E_FAILED', 'this pack is full');
    if (!this.#ids.add(chunk.id)) throw new EdgeError('E_FAILED', `chunk ${toHex(chunk.id)} is in this pack already`);
    const at = this.frames * INDEX_ENTRY_BYTES;
    if (at === this.#index.length) {
      const larger = Buffer.allocUnsafeSlow(this.#index.length * 2);
      this.#index.copy(larger);
      this.#index = larger;
    }
    const offset = this.#end + FRAME_HEADER_BYTES;
    writeIndexEntry(this.#index, at, {
      id: chunk.id,
      keyId: chunk.keyId,
      offset,
      sealedBytes,
      sealedSha256: chunk.sha256,
    });
    this.#identified.push(chunk.identified);
    this.#end = offset + sealedBytes;
  }

  finish(storedNs: bigint): FinishedPack {
    if (this.frames === 0) throw new EdgeError('E_FAILED', 'a pack without frames is not written');
    const index = this.#index.subarray(0, this.frames * INDEX_ENTRY_BYTES);
    const tail = encodePackTail(index, this.#end, storedNs);
    const frames = new IndexRows(index, this.#identified);
    return { tail, name: packNameOf(this.#header, tail), bytes: this.#end + tail.length, frames };
  }
}

/** The rows of a pack's index, each made when it is come to: a pack of tiny chunks has a quarter of a million. */
class IndexRows implements FrameRows {
  readonly #index: Buffer;
  readonly #identified: readonly boolean[];

  constructor(index: Buffer, identified: readonly boolean[]) {
    this.#index = index;
    this.#identified = identified;
  }

  get length(): number {
    return this.#identified.length;
  }

  *[Symbol.iterator](): Generator<FrameRow> {
    for (const [i, identified] of this.#identified.entries()) {
      yield { ...readRow(this.#index, i * INDEX_ENTRY_BYTES, 'pack index'), identified };
    }
  }
}

/** The name of a pack: SHA-256(header ‖ index ‖ footer), as hex. It covers every frame through the index's SHA-256 of each. */
export function packNameOf(header: Uint8Array, tail: Uint8Array): PackName {
  return createHash('sha256')
    .update(concatBytes([header, tail]))
    .digest('hex');
}
