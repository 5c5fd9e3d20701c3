/** Decides which chunks a capture has to store, and stores them. */
import { ChunkIdSet } from '../core/chunk-id-set.ts';
import type { ChunkId, PackClass } from '../core/ids.ts';
import type { ChunkWriter } from '../core/ports/chunk-store.ts';
import type { ChunkIndex } from '../core/ports/index.ts';
import type { BatchChunks } from '../pipeline/chunk-batch.ts';
import { SEAL_BUFFER_BYTES, type SealedChunks } from '../pipeline/seal-chunks.ts';

export interface ChunkIntakeDeps {
  readonly index: Pick<ChunkIndex, 'claim'>;
  readonly writer: ChunkWriter;
  readonly session: number;
  readonly keyId: number;
  /** Has chunks that are stored already held for this capture. */
  readonly hold: (ids: readonly ChunkId[]) => void;
}

/** Ids remembered of chunks that are on their way into packs; beyond, `trim` waits until the index knows them. */
const REMEMBERED_MAX = 200_000;
const PAGE_IDS = 4096;

export class ChunkIntake {
  readonly #deps: ChunkIntakeDeps;
  /** Chunks that this run stores: the index does not know them before their pack is durable. */
  readonly #stored = new ChunkIdSet();
  /** So many of the stored ids were asked about by `storedSince`. */
  #asked = 0;
  readonly #buffers: SharedArrayBuffer[] = [];
  readonly counts = { new: 0, reused: 0, newBytes: 0, storedBytes: 0 };

  constructor(deps: ChunkIntakeDeps) {
    this.#deps = deps;
  }

  /**
   * 1 for each chunk that is to be sealed and given to `store`; undefined when none is. Claims the others for this session, so that nothing
   * removes them before the snapshot is written.
   */
  needed({ ids, lengths }: BatchChunks): Uint8Array | undefined {
    const asked: Uint8Array[] = [];
    const askedAt: number[] = [];
    let reused = 0;
    for (let i = 0; i < lengths.length; i++) {
      if (this.#stored.has(ids, i * 32)) {
        reused++;
        continue;
      }
      asked.push(ids.subarray(i * 32, i * 32 + 32));
      askedAt.push(i);
    }
    const known = asked.length === 0 ? NONE : this.#deps.index.claim(this.#deps.session, asked);
    let needed: Uint8Array | undefined;
    this.#deps.hold(asked.filter((_, n) => known[n] === 1));
    for (let n = 0; n < asked.length; n++) {
      const at = askedAt[n]!;
      // The same chunk may be in one batch twice.
      if (known[n] === 1 || !this.#stored.add(ids, at * 32)) {
        reused++;
        continue;
      }
      needed ??= new Uint8Array(lengths.length);
      needed[at] = 1;
      this.counts.new++;
      this.counts.newBytes += lengths[at]!;
    }
    this.counts.reused += reused;
    return needed;
  }

  /** Hands sealed chunks on to their pack. `ids` are those of all chunks of the batch. Resolves when there is room for more. */
  async store(sealed: SealedChunks, ids: Uint8Array, packClass: PackClass): Promise<void> {
    const { which, offsets, lengths, bytes, sha256 } = sealed;
    const added: Promise<void>[] = [];
    for (let n = 0; n < which.length; n++) {
      const at = which[n]! * 32;
      this.counts.storedBytes += lengths[n]!;
      const room = this.#deps.writer.add({
        id: ids.subarray(at, at + 32),
        packClass,
        keyId: this.#deps.keyId,
        bytes: bytes.subarray(offsets[n]!, offsets[n]! + lengths[n]!),
        sha256: sha256.subarray(n * 32, n * 32 + 32),
        identified: true,
      });
      if (room !== undefined) added.push(room);
    }
    await Promise.all(added);
  }

  /** Has needed chunks sealed, with memory for a worker to seal into, and stores them. `ids` are those of all chunks of the batch. */
  async sealAndStore(
    seal: (into: SharedArrayBuffer) => Promise<SealedChunks | undefined>,
    ids: Uint8Array,
    packClass: PackClass,
  ): Promise<void> {
    const into = this.#buffers.pop() ?? new SharedArrayBuffer(SEAL_BUFFER_BYTES);
    const sealed = await seal(into);
    if (sealed !== undefined) await this.store(sealed, ids, packClass);
    // The writer has its own copy by now. After a failure the worker may still write, and the buffer is let go.
    this.#buffers.push(into);
  }

  /**
   * Pages of ids that this run stored, and that nobody asked about before. They are in durable packs when the writer
   * was flushed.
   */
  *storedSince(): Generator<ChunkId[]> {
    while (this.#asked < this.#stored.size) {
      const page = this.#stored.slice(this.#asked, PAGE_IDS);
      yield page;
      this.#asked += page.length;
    }
  }

  /** True when `trim` should be called as soon as no chunk is between `needed` and `store`. */
  get isFull(): boolean {
    return this.#stored.size > REMEMBERED_MAX;
  }

  /** Makes everything stored so far durable and indexed, after which it need not be remembered. */
  async trim(): Promise<void> {
    await this.#deps.writer.flush();
    this.#stored.clear();
    this.#asked = 0;
  }
}

const NONE = new Uint8Array(0);
