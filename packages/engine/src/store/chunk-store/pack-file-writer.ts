/**
 * Writes one pack file. Order: frames, tail, fsync, rename to its name, fsync of the folder. Whoever calls adds it to the index after that, so that
 * the index never names a pack that a power loss can take away.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { toEdgeError } from '../../core/errors.ts';
import { failpoint } from '../../core/failpoint.ts';
import type { ChunkId, PackClass, PackName, VaultId } from '../../core/ids.ts';
import { MIB } from '../../core/limits.ts';
import type { SealedChunk } from '../../core/ports/chunk-store.ts';
import type { FrameRows } from '../../core/ports/index.ts';
import { writeFrameHeader } from '../../pack/frame-header.ts';
import { FRAME_HEADER_BYTES } from '../../pack/layout.ts';
import { createPackBuilder, type PackBuilder } from '../../pack/pack-builder.ts';
import { removeIfThere, writeFully } from '../durable-write.ts';
import type { PackFolder } from './pack-folder.ts';
import { leaveCache } from './page-cache.ts';

/** Small frames are gathered into writes of this size; two such buffers, so that filling goes on while one is being written. */
const WRITE_BYTES = MIB;

export interface WrittenPack {
  readonly name: PackName;
  readonly packClass: PackClass;
  readonly bytes: number;
  readonly frames: FrameRows;
  readonly storedNs: bigint;
}

export interface PackFileWriter {
  /** Size that the pack would have if it were finished now. */
  readonly bytes: number;
  readonly frames: number;
  has(id: ChunkId): boolean;
  /** Takes the chunk at once when there is room for it in the buffer; false when `add` has to be used. */
  addNow(chunk: SealedChunk): boolean;
  /** Resolves when the chunk's bytes were taken over (they may change then). */
  add(chunk: SealedChunk): Promise<void>;
  /** Makes the pack durable under its name. `storedNs`: when the youngest of its chunks was first stored. After a failure the temporary file is gone. */
  finish(storedNs: bigint): Promise<WrittenPack>;
  discard(): Promise<void>;
}

export async function createPackFile(
  folder: PackFolder,
  vault: VaultId,
  packClass: PackClass,
): Promise<PackFileWriter> {
  const path = folder.temporaryFile();
  const builder = createPackBuilder(vault, packClass);
  try {
    const file = await open(path, 'wx', 0o600);
    failpoint('pack.created');
    const writer = new Writer(folder, path, file, builder);
    await writer.start();
    return writer;
  } catch (error) {
    throw toEdgeError(error, `creating a pack in ${folder.path}`);
  }
}

class Writer implements PackFileWriter {
  readonly #folder: PackFolder;
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #builder: PackBuilder;
  /** The buffer being filled, and the other one. */
  #filling: Buffer = Buffer.allocUnsafe(WRITE_BYTES);
  #other: Buffer | undefined;
  #filled = 0;
  #position = 0;
  #writing: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(folder: PackFolder, path: string, file: FileHandle, builder: PackBuilder) {
    this.#folder = folder;
    this.#path = path;
    this.#file = file;
    this.#builder = builder;
  }

  get bytes(): number {
    return this.#builder.bytes;
  }

  get frames(): number {
    return this.#builder.frames;
  }

  has(id: ChunkId): boolean {
    return this.#builder.has(id);
  }

  async start(): Promise<void> {
    await this.#put(this.#builder.header());
  }

  addNow(chunk: SealedChunk): boolean {
    const end = this.#filled + FRAME_HEADER_BYTES + chunk.bytes.length;
    // The last byte is left free: a buffer that is full has to be written, which takes time.
    if (end >= WRITE_BYTES) return false;
    this.#builder.add(chunk);
    writeFrameHeader(this.#filling, this.#filled, chunk.id, chunk.packClass, chunk.keyId, chunk.bytes.length);
    this.#filling.set(chunk.bytes, this.#filled + FRAME_HEADER_BYTES);
    this.#filled = end;
    return true;
  }

  async add(chunk: SealedChunk): Promise<void> {
    if (this.addNow(chunk)) return;
    const header = this.#builder.frameHeader(chunk);
    this.#builder.add(chunk);
    await this.#put(header);
    await this.#put(chunk.bytes);
  }

  async finish(storedNs: bigint): Promise<WrittenPack> {
    try {
      const finished = this.#builder.finish(storedNs);
      await this.#put(finished.tail);
      await this.#flush();
      await this.#writing;
      failpoint('pack.tail-written');
      await this.#file.sync();
      leaveCache(this.#file.fd, finished.bytes);
      await this.#close();
      failpoint('pack.synced');
      await this.#folder.publish(this.#path, finished.name);
      return {
        name: finished.name,
        packClass: this.#builder.packClass,
        bytes: finished.bytes,
        frames: finished.frames,
        storedNs,
      };
    } catch (error) {
      await this.discard();
      throw toEdgeError(error, `writing a pack in ${this.#folder.path}`);
    }
  }

  async discard(): Promise<void> {
    // The write under way ends first, whatever becomes of it: its error, if any, is the one that led here.
    await this.#writing.catch(() => {});
    await this.#close();
    await removeIfThere(this.#path);
  }

  async #put(bytes: Uint8Array): Promise<void> {
    let done = 0;
    while (done < bytes.length) {
      const part = Math.min(bytes.length - done, WRITE_BYTES - this.#filled);
      this.#filling.set(bytes.subarray(done, done + part), this.#filled);
      this.#filled += part;
      done += part;
      if (this.#filled === WRITE_BYTES) await this.#flush();
    }
  }

  /** Hands the filled buffer to the kernel and goes on with the other one, once that has been written. */
  async #flush(): Promise<void> {
    const full = this.#filling.subarray(0, this.#filled);
    await this.#writing.catch((error: unknown) => {
      throw toEdgeError(error, `writing a pack in ${this.#folder.path}`);
    });
    const position = this.#position;
    this.#position += full.length;
    this.#writing = writeFully(this.#file, full, position).then(() => failpoint('pack.frames-written'));
    // Looked at by the next flush, finish or discard; until then it must not count as unhandled.
    this.#writing.catch(() => {});
    const next = this.#other ?? Buffer.allocUnsafe(WRITE_BYTES);
    this.#other = this.#filling;
    this.#filling = next;
    this.#filled = 0;
  }

  async #close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#file.close();
  }
}
