/** Takes sealed chunks one by one and makes packs of them: one pack of each class filling, one being made durable. */
import type { Clock } from '../../core/clock.ts';
import { EdgeError, toEdgeError } from '../../core/errors.ts';
import type { PackClass, VaultId } from '../../core/ids.ts';
import { PACK_FRAMES_TARGET, PACK_LOCAL_BYTES_TARGET } from '../../core/limits.ts';
import type { ChunkWriter, ChunkWriterOptions, SealedChunk } from '../../core/ports/chunk-store.ts';
import type { ChunkIndex } from '../../core/ports/index.ts';
import { chunkKeySet } from './chunk-key-set.ts';
import { requireFreeSpace } from './free-space.ts';
import { createPackFile, type PackFileWriter } from './pack-file-writer.ts';
import type { PackFolder } from './pack-folder.ts';

export interface ChunkWriterDeps extends ChunkWriterOptions {
  readonly folder: PackFolder;
  readonly index: Pick<ChunkIndex, 'addPack' | 'locate'>;
  readonly vault: VaultId;
  readonly clock: Clock;
  readonly floorBytes: number;
}

export function createChunkWriter(deps: ChunkWriterDeps): ChunkWriter {
  return new Writer(deps);
}

class Writer implements ChunkWriter {
  readonly #deps: ChunkWriterDeps;
  readonly #filling = new Map<PackClass, PackFileWriter>();
  /** The pack that is being made durable, until it is in the index. */
  #finished: PackFileWriter | undefined;
  readonly #added = chunkKeySet();
  readonly #stats = { chunks: 0, bytes: 0, packs: 0 };
  /** Calls are done one after the other, in the order that they came. */
  #last: Promise<void> = Promise.resolve();
  #turns = 0;
  #finishing: Promise<void> = Promise.resolve();
  #failure: EdgeError | undefined;
  #ended = false;

  constructor(deps: ChunkWriterDeps) {
    this.#deps = deps;
  }

  get stats(): { readonly chunks: number; readonly bytes: number; readonly packs: number } {
    return { ...this.#stats };
  }

  add(chunk: SealedChunk): Promise<void> | undefined {
    try {
      if (this.#addNow(chunk)) return undefined;
    } catch (error) {
      this.#failure ??= toEdgeError(error);
      return Promise.reject(this.#failure);
    }
    return this.#inTurn(() => this.#add(chunk));
  }

  flush(): Promise<void> {
    return this.#inTurn(async () => {
      await this.#finish('data');
      await this.#finish('meta');
      await this.#finishing;
      this.#throwFailure();
    });
  }

  async close(): Promise<void> {
    if (this.#ended) return;
    try {
      await this.flush();
    } finally {
      await this.abandon();
    }
  }

  async abandon(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await this.#last;
    await this.#finishing;
    const open = [...this.#filling.values()];
    this.#filling.clear();
    for (const file of open) await file.discard();
  }

  /** The usual case without a promise: nothing under way, and room in the buffer. Most chunks of a folder of small files take it. */
  #addNow(chunk: SealedChunk): boolean {
    if (this.#turns > 0 || this.#ended || this.#failure !== undefined || this.#added.mayHave(chunk.id)) return false;
    const file = this.#filling.get(chunk.packClass);
    if (file === undefined || isFull(file, chunk) || !file.addNow(chunk)) return false;
    this.#noteAdded(chunk);
    return true;
  }

  async #add(chunk: SealedChunk): Promise<void> {
    if (this.#ended) throw new EdgeError('E_FAILED', 'this writer has ended');
    if (this.#wasAdded(chunk)) return;
    let file = this.#filling.get(chunk.packClass);
    if (file !== undefined && isFull(file, chunk)) {
      await this.#finish(chunk.packClass);
      this.#throwFailure();
      file = undefined;
    }
    if (file === undefined) {
      await requireFreeSpace(this.#deps.folder.path, this.#deps.floorBytes);
      file = await createPackFile(this.#deps.folder, this.#deps.vault, chunk.packClass);
      this.#filling.set(chunk.packClass, file);
    }
    await file.add(chunk);
    this.#noteAdded(chunk);
  }

  #noteAdded(chunk: SealedChunk): void {
    this.#added.add(chunk.id);
    this.#stats.chunks++;
    this.#stats.bytes += chunk.bytes.length;
  }

  #wasAdded(chunk: SealedChunk): boolean {
    if (!this.#added.mayHave(chunk.id)) return false;
    if (this.#filling.get(chunk.packClass)?.has(chunk.id) === true || this.#finished?.has(chunk.id) === true)
      return true;
    return this.#deps.index
      .locate([chunk.id])[0]!
      .some((copy) => copy.store === '' && (copy.identified || !chunk.identified));
  }

  /** Hands the pack over to be made durable, after the one before it: never more than one of them at a time. */
  async #finish(packClass: PackClass): Promise<void> {
    const file = this.#filling.get(packClass);
    if (file === undefined) return;
    await this.#finishing;
    this.#throwFailure();
    this.#filling.delete(packClass);
    this.#finished = file;
    this.#finishing = this.#makeDurable(file).catch((error: unknown) => {
      // Kept for the next call, so that the flush which promises durability fails.
      this.#failure ??= toEdgeError(error);
    });
  }

  async #makeDurable(file: PackFileWriter): Promise<void> {
    const { name, packClass, bytes, frames, storedNs } = await file.finish(this.#deps.clock.nowNs());
    this.#deps.index.addPack({ name, store: '', packClass, bytes, frames: frames.length, createdNs: storedNs }, frames);
    this.#finished = undefined;
    this.#stats.packs++;
    await this.#deps.onPack?.(packClass, frames);
  }

  /** Runs when all earlier calls have ended. A failure sticks: what came after it may be missing, so nothing is acknowledged any more. */
  #inTurn(work: () => Promise<void>): Promise<void> {
    this.#turns++;
    const turn = this.#last.then(async () => {
      try {
        this.#throwFailure();
        await work();
      } catch (error) {
        this.#failure ??= toEdgeError(error);
        throw this.#failure;
      } finally {
        this.#turns--;
      }
    });
    this.#last = turn.catch(() => {});
    return turn;
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }
}

function isFull(file: PackFileWriter, chunk: SealedChunk): boolean {
  return (
    file.frames >= PACK_FRAMES_TARGET || (file.frames > 0 && file.bytes + chunk.bytes.length > PACK_LOCAL_BYTES_TARGET)
  );
}
