/** Reads small files in batches: one worker reads and names a batch, then compresses and seals what of it is new. */
import { buffersOfJoined, joinBytes } from '../core/joined-bytes.ts';
import type { WorkerPool } from '../core/ports/worker-pool.ts';
import type { FileOutcome } from '../pipeline/file-outcome.ts';
import type { FilesToRead } from '../pipeline/files-ahead.ts';
import type { PipelineTasks } from '../pipeline/tasks.ts';
import { nextBatchNumber } from './batch-numbers.ts';
import type { ChunkIntake } from './chunk-intake.ts';
import type { WorkerLanes } from './worker-lanes.ts';

export interface SmallFile {
  /** Path of its folder below the root: the same object for files of the same folder. */
  readonly folder: Uint8Array;
  readonly name: Uint8Array;
  readonly size: number;
  /** 16 bytes when it has more than one hard link. */
  readonly hardLink?: Uint8Array | undefined;
  /** What became of it; `records` is the buffer that `outcome.at` lies in. */
  done(outcome: FileOutcome, records: Uint8Array): void;
}

export interface SmallFilesDeps {
  readonly pool: WorkerPool<PipelineTasks>;
  readonly lanes: WorkerLanes;
  readonly intake: ChunkIntake;
  readonly base: Uint8Array;
  readonly captureSeconds: number;
  /** The first thing that went wrong; everything is given up then. */
  readonly fail: (error: unknown) => void;
  /** True once something did: nothing is sent any more. */
  readonly isFailed: () => boolean;
}

/** A batch is sent when it has so many files or bytes. */
const BATCH_FILES_MAX = 128;
const BATCH_BYTES_MAX = 2 << 20;

export class SmallFiles {
  readonly #deps: SmallFilesDeps;
  #batch: SmallFile[] = [];
  #bytes = 0;

  constructor(deps: SmallFilesDeps) {
    this.#deps = deps;
  }

  /** Takes a file; the promise, if any, resolves when there is room for more. */
  add(file: SmallFile): Promise<void> | undefined {
    this.#batch.push(file);
    this.#bytes += file.size;
    return this.#batch.length >= BATCH_FILES_MAX || this.#bytes >= BATCH_BYTES_MAX ? this.send() : undefined;
  }

  /** Sends what has gathered; resolves when a worker has taken it. */
  async send(): Promise<void> {
    const files = this.#batch;
    if (files.length === 0) return;
    this.#batch = [];
    this.#bytes = 0;
    const worker = await this.#deps.lanes.enter();
    if (this.#deps.isFailed()) {
      this.#deps.lanes.leave(worker);
      return;
    }
    void this.#process(files, worker)
      .catch(this.#deps.fail)
      .finally(() => this.#deps.lanes.leave(worker));
  }

  async #process(files: readonly SmallFile[], worker: number): Promise<void> {
    const { pool, base, captureSeconds, intake } = this.#deps;
    const batch = nextBatchNumber();
    const wanted = filesToRead(files);
    const { names, folderOf, folders } = wanted;
    const input = { batch, base, files: wanted, captureSeconds };
    const transfer = [...buffersOfJoined(names), ...buffersOfJoined(folders), folderOf.buffer];
    const { at, exceptions, records, chunks } = await pool.run('ingestRead', input, { worker, transfer });
    let needed: Uint8Array | undefined;
    try {
      needed = intake.needed(chunks);
      for (let i = 0; i < at.length; i++) {
        if (at[i] !== 0) files[i]!.done({ kind: 'read', at: at[i]!, changedWhileRead: false }, records);
      }
      for (const { file, outcome } of exceptions) files[file]!.done(outcome, records);
    } catch (error) {
      await pool.run('ingestSeal', { batch }, { worker });
      throw error;
    }
    if (needed === undefined) await pool.run('ingestSeal', { batch }, { worker });
    else {
      const seal = (into: SharedArrayBuffer) => pool.run('ingestSeal', { batch, needed, into }, { worker });
      await intake.sealAndStore(seal, chunks.ids, 'data');
    }
  }
}

function filesToRead(files: readonly SmallFile[]): FilesToRead {
  const folders: Uint8Array[] = [];
  const folderOf = new Uint32Array(files.length);
  const hardLinks = new Map<number, Uint8Array>();
  for (const [number, { folder, hardLink }] of files.entries()) {
    if (folders.at(-1) !== folder) folders.push(folder);
    folderOf[number] = folders.length - 1;
    if (hardLink !== undefined) hardLinks.set(number, hardLink);
  }
  return { names: joinBytes(files.map(({ name }) => name)), folderOf, folders: joinBytes(folders), hardLinks };
}
