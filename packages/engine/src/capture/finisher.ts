/** Turns folders whose entries are all known into tree pages and cache rows, many in one message. */
import type { FolderCache } from '../core/ports/index.ts';
import type { WorkerPool } from '../core/ports/worker-pool.ts';
import type { EntryUpdate, FinishedFolder, FolderToFinish } from '../pipeline/finish-folder.ts';
import { RECORD_HEADER_BYTES } from '../pipeline/folder-state.ts';
import type { PipelineTasks } from '../pipeline/tasks.ts';
import { nextBatchNumber } from './batch-numbers.ts';
import type { ChunkIntake } from './chunk-intake.ts';
import type { FileRead, FolderNode } from './folder-node.ts';
import type { WorkerLanes } from './worker-lanes.ts';

export interface FinisherDeps {
  readonly pool: WorkerPool<PipelineTasks>;
  readonly lanes: WorkerLanes;
  readonly intake: ChunkIntake;
  readonly folders: Pick<FolderCache, 'get'>;
  readonly rootName: string;
  /** Called for each folder, in the order in which they were handed over. */
  readonly finished: (node: FolderNode, folder: FinishedFolder) => void;
  readonly fail: (error: unknown) => void;
}

/** A folder as it is now. Its state is read from the cache when it has none of its own. */
export interface FinishJob {
  /** Of its cache row. */
  readonly key: Uint8Array;
  /** Of how many it is the first part; 1 for all others. */
  readonly parts: number;
  readonly state: Uint8Array | undefined;
  readonly reads: readonly FileRead[];
  readonly updates: readonly EntryUpdate[];
}

/** Folders and bytes of states in one message. */
const BATCH_FOLDERS_MAX = 64;
const BATCH_BYTES_MAX = 1 << 20;

export class Finisher {
  readonly #deps: FinisherDeps;
  #ready: FolderNode[] = [];
  #bytes = 0;
  #sending = false;

  constructor(deps: FinisherDeps) {
    this.#deps = deps;
  }

  /** Takes a folder that waits for nothing any more. */
  add(node: FolderNode): void {
    node.status = 'finishing';
    this.#ready.push(node);
    this.#bytes += node.reply?.state?.length ?? 0;
    if (!this.#sending) this.#schedule();
  }

  get isIdle(): boolean {
    return this.#ready.length === 0 && !this.#sending;
  }

  /** Gathers what becomes ready within one turn of the event loop, so that a parent and its siblings share messages. */
  #schedule(): void {
    this.#sending = true;
    setImmediate(() => {
      void this.#send()
        .catch(this.#deps.fail)
        .finally(() => {
          this.#sending = false;
          if (this.#ready.length > 0) this.#schedule();
        });
    });
  }

  async #send(): Promise<void> {
    while (this.#ready.length > 0) {
      const nodes: FolderNode[] = [];
      let bytes = 0;
      while (this.#ready.length > 0 && nodes.length < BATCH_FOLDERS_MAX && bytes < BATCH_BYTES_MAX) {
        const node = this.#ready.shift()!;
        bytes += node.reply?.state?.length ?? 0;
        nodes.push(node);
      }
      const worker = await this.#deps.lanes.enter();
      void this.finish(nodes.map(jobOf), worker)
        .then(({ folders, stored }) => {
          for (const [i, folder] of folders.entries()) this.#deps.finished(nodes[i]!, folder);
          return stored;
        })
        .catch(this.#deps.fail)
        .finally(() => this.#deps.lanes.leave(worker));
    }
  }

  /**
   * Finishes folders as they are now, complete or not; entries that are not done are left out. Whoever waits for them goes on while their pages are
   * sealed, until `stored` resolves.
   */
  async finish(
    jobs: readonly FinishJob[],
    worker: number,
  ): Promise<{ readonly folders: readonly FinishedFolder[]; readonly stored: Promise<void> }> {
    const { pool, intake } = this.#deps;
    const batch = nextBatchNumber();
    const records = new RecordCopies(jobs);
    const folders = jobs.map((job) => this.#folderOf(job, records));
    const input = { batch, folders, records: records.bytes };
    const reply = await pool.run('finishFolders', input, { worker, transfer: [records.bytes.buffer] });
    let needed: Uint8Array | undefined;
    try {
      needed = intake.needed(reply.chunks);
    } catch (error) {
      await pool.run('ingestSeal', { batch }, { worker });
      throw error;
    }
    const sealing = pool.run('ingestSeal', needed === undefined ? { batch } : { batch, needed }, { worker });
    const stored = sealing.then(async (sealed) => {
      if (sealed !== undefined) await intake.store(sealed, reply.chunks.ids, 'meta');
    });
    return { folders: reply.folders, stored };
  }

  /** Finishes folders as they are, and resolves when their pages have been handed to the writer. */
  async finishNow(jobs: readonly FinishJob[]): Promise<readonly FinishedFolder[]> {
    const worker = await this.#deps.lanes.enter();
    try {
      const { folders, stored } = await this.finish(jobs, worker);
      await stored;
      return folders;
    } finally {
      this.#deps.lanes.leave(worker);
    }
  }

  #folderOf(job: FinishJob, records: RecordCopies): FolderToFinish {
    const { folders, rootName } = this.#deps;
    const state = job.state ?? new Uint8Array(folders.get(rootName, job.key)?.value ?? new Uint8Array(0));
    const updates = [...job.updates].sort((a, b) => a.index - b.index);
    return { parts: job.parts, state, read: records.copy(job), updates };
  }
}

export function jobOf(node: FolderNode): FinishJob {
  const { key, part, reply, reads, updates } = node;
  return { key, parts: part?.index === 0 ? part.of : 1, state: reply?.state, reads, updates };
}

/** The records that the updates of some folders need, copied together: the buffers that they lie in have many others. */
class RecordCopies {
  readonly bytes: Uint8Array<ArrayBuffer>;
  #at = 0;

  constructor(jobs: readonly FinishJob[]) {
    let length = 0;
    for (const job of jobs) for (const read of job.reads) length += recordLength(read.records, read.at);
    this.bytes = new Uint8Array(length);
  }

  copy(job: FinishJob): Uint32Array {
    const reads = [...job.reads].sort((a, b) => a.index - b.index);
    const places = new Uint32Array(reads.length * 2);
    reads.forEach(({ index, at, records }, i) => {
      const length = recordLength(records, at);
      places[i * 2] = index;
      places[i * 2 + 1] = this.#at;
      this.bytes.set(records.subarray(at, at + length), this.#at);
      this.#at += length;
    });
    return places;
  }
}

/** Bytes of the record at this offset (see `FolderState`). */
export function recordLength(records: Uint8Array, at: number): number {
  const nameLength = records[at]! | (records[at + 1]! << 8);
  const encodedLength =
    records[at + 4]! | (records[at + 5]! << 8) | (records[at + 6]! << 16) | (records[at + 7]! << 24);
  return (RECORD_HEADER_BYTES + nameLength + encodedLength + 3) & ~3;
}
