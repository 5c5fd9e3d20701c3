/** Takes sealed chunks one by one and makes packs of them: one pack of each class filling, one being made durable. */
import type { Clock } from '../../core/clock.ts';
import { EdgeError, toEdgeError } from '../../core/errors.ts';
import { type ChunkId, type HexId, type PackClass, toHex, type VaultId } from '../../core/ids.ts';
import { PACK_FRAMES_MAX, PACK_LOCAL_BYTES_TARGET } from '../../core/limits.ts';
import type { ChunkWriter, SealedChunk } from '../../core/ports/chunk-store.ts';
import type { ChunkIndex } from '../../core/ports/index.ts';
import { chunkKeySet } from './chunk-key-set.ts';
import { requireFreeSpace } from './free-space.ts';
import { createPackFile, type PackFileWriter } from './pack-file-writer.ts';
import type { PackFolder } from './pack-folder.ts';

export interface ChunkWriterDeps {
  readonly folder: PackFolder;
  readonly index: Pick<ChunkIndex, 'addPack' | 'locate'> & {
    /** Marks the chunks as relied on by the session. */
    relyOn(session: number, ids: readonly ChunkId[]): void;
  };
  readonly vault: VaultId;
  readonly clock: Clock;
  readonly floorBytes: number;
}

/** A writer whose chunks are relied on by the session from the moment that they are added. */
export function createChunkWriter(session: number, deps: ChunkWriterDeps): ChunkWriter {
  return new Writer(session, deps);
}

const DONE: Promise<void> = Promise.resolve();

class Writer implements ChunkWriter {
  readonly #session: number;
  readonly #deps: ChunkWriterDeps;
  readonly #filling = new Map<PackClass, PackFileWriter>();
  /** Chunks of packs that are not in the index yet. */
  readonly #pending = new Map<PackClass, Set<HexId>>([
    ['data', new Set()],
    ['meta', new Set()],
  ]);
  readonly #finishingIds = new Set<HexId>();
  readonly #added = chunkKeySet();
  readonly #stats = { chunks: 0, bytes: 0, packs: 0 };
  /** Calls are done one after the other, in the order that they came. */
  #last: Promise<void> = Promise.resolve();
  #turns = 0;
  #finishing: Promise<void> = Promise.resolve();
  #failure: EdgeError | undefined;
  #ended = false;

  constructor(session: number, deps: ChunkWriterDeps) {
    this.#session = session;
    this.#deps = deps;
  }

  get stats(): { readonly chunks: number; readonly bytes: number; readonly packs: number } {
    return { ...this.#stats };
  }

  add(chunk: SealedChunk): Promise<void> {
    try {
      if (this.#addNow(chunk)) return DONE;
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

  /** The usual case without a promise of its own: nothing under way, and room in the buffer. Most chunks of a folder of small files take it. */
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
    this.#pending.get(chunk.packClass)!.add(toHex(chunk.id));
    this.#added.add(chunk.id);
    this.#stats.chunks++;
    this.#stats.bytes += chunk.bytes.length;
  }

  #wasAdded(chunk: SealedChunk): boolean {
    if (!this.#added.mayHave(chunk.id)) return false;
    const hex = toHex(chunk.id);
    if (this.#pending.get(chunk.packClass)!.has(hex) || this.#finishingIds.has(hex)) return true;
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
    const ids = this.#pending.get(packClass)!;
    for (const id of ids) this.#finishingIds.add(id);
    ids.clear();
    this.#finishing = this.#makeDurable(file).catch((error: unknown) => {
      // Kept for the next call, so that the flush which promises durability fails.
      this.#failure ??= toEdgeError(error);
    });
  }

  async #makeDurable(file: PackFileWriter): Promise<void> {
    const { name, packClass, bytes, frames } = await file.finish();
    // Claimed before it can be seen, so that nothing may drop it in between.
    const ids = frames.map((frame) => frame.id);
    this.#deps.index.relyOn(this.#session, ids);
    this.#deps.index.addPack(
      { name, store: '', packClass, bytes, frames: frames.length, createdNs: this.#deps.clock.nowNs() },
      frames,
    );
    this.#finishingIds.clear();
    this.#stats.packs++;
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
    file.frames >= PACK_FRAMES_MAX || (file.frames > 0 && file.bytes + chunk.bytes.length > PACK_LOCAL_BYTES_TARGET)
  );
}
