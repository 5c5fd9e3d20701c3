/**
 * Plaintext chunks that a worker has read and named, waiting for the main thread to say which of them are needed. They stay in the worker's memory
 * meanwhile, so that only ids cross over for what is known already.
 */
import { EdgeError } from '../core/errors.ts';
import type { ChunkKind } from '../core/ids.ts';
import { MIB } from '../core/limits.ts';
import type { WorkerContext } from './worker-context.ts';

/** The chunks of one batch in order: ids one after the other (32 bytes each), and plaintext lengths. */
export interface BatchChunks {
  readonly ids: Uint8Array<ArrayBuffer>;
  readonly lengths: Uint32Array<ArrayBuffer>;
}

/** One plaintext: a view of a block, which belongs to the batch until it is released. */
export interface PlainChunk {
  readonly kind: ChunkKind;
  readonly id: Uint8Array;
  readonly plain: Uint8Array;
}

/** Plaintext memory is handed out in blocks of this size, and longer ones for what is longer. */
const BLOCK_BYTES = 2 * MIB;
/** Blocks kept for the next batch; more are left to the garbage collector. */
const FREE_BLOCKS_MAX = 4;

/** A worker's batches and the blocks that their bytes lie in. */
export class ChunkBatches {
  readonly #batches = new Map<number, { readonly chunks: PlainChunk[]; readonly blocks: Uint8Array<ArrayBuffer>[] }>();
  readonly #free: Uint8Array<ArrayBuffer>[] = [];
  #blocks: Uint8Array<ArrayBuffer>[] = [];
  #filled = 0;

  /** The batches of this worker. */
  static of(context: WorkerContext): ChunkBatches {
    let batches = context.kept.get('chunk-batches') as ChunkBatches | undefined;
    if (batches === undefined) {
      batches = new ChunkBatches();
      context.kept.set('chunk-batches', batches);
    }
    return batches;
  }

  /** Room for `length` bytes, to be filled and then kept by `use`; asked for again when not. */
  room(length: number): Uint8Array<ArrayBuffer> {
    const block = this.#blocks.at(-1);
    if (block !== undefined && block.length - this.#filled >= length) {
      return block.subarray(this.#filled, this.#filled + length);
    }
    this.#filled = 0;
    const next = length <= BLOCK_BYTES ? (this.#free.pop() ?? newBlock(BLOCK_BYTES)) : newBlock(length);
    this.#blocks.push(next);
    return next.subarray(0, length);
  }

  /** Keeps the first `length` bytes of the room that was handed out last. */
  use(length: number): void {
    this.#filled += length;
  }

  /** Ends the batch that was being filled. */
  keep(number: number, chunks: PlainChunk[]): BatchChunks {
    this.#batches.set(number, { chunks, blocks: this.#blocks });
    this.#blocks = [];
    this.#filled = 0;
    const ids = new Uint8Array(chunks.length * 32);
    const lengths = new Uint32Array(chunks.length);
    chunks.forEach(({ id, plain }, i) => {
      ids.set(id, i * 32);
      lengths[i] = plain.length;
    });
    return { ids, lengths };
  }

  /** The chunks of a batch; E_FAILED when there is none of that number here. */
  chunksOf(number: number): readonly PlainChunk[] {
    const batch = this.#batches.get(number);
    if (batch === undefined) throw new EdgeError('E_FAILED', `batch ${number} is not on this worker`);
    return batch.chunks;
  }

  release(number: number): void {
    const batch = this.#batches.get(number);
    this.#batches.delete(number);
    for (const block of batch?.blocks ?? []) {
      if (block.length === BLOCK_BYTES && this.#free.length < FREE_BLOCKS_MAX) this.#free.push(block);
    }
  }
}

function newBlock(length: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(length);
}
