/** Reads large files: one worker reads and names a file's chunks in order, all of them compress and seal. */
import type { WorkerPool } from '../core/ports/worker-pool.ts';
import type { FileOutcome } from '../pipeline/file-outcome.ts';
import type { ChunkGroup } from '../pipeline/large-files.ts';
import { READ_ATTEMPTS_MAX } from '../pipeline/read-files.ts';
import type { IngestLargeTask } from '../pipeline/tasks/ingest-large.ts';
import type { PipelineTasks } from '../pipeline/tasks.ts';
import { nextBatchNumber } from './batch-numbers.ts';
import type { ChunkIntake } from './chunk-intake.ts';
import type { SmallFile } from './small-files.ts';
import { WorkerLanes } from './worker-lanes.ts';

export interface LargeFilesDeps {
  readonly pool: WorkerPool<PipelineTasks>;
  readonly intake: ChunkIntake;
  readonly base: Uint8Array;
  readonly captureSeconds: number;
  readonly fail: (error: unknown) => void;
  /** Bytes read so far of files that are not done yet, for the progress display. */
  readonly progress: (bytes: number) => void;
  readonly isStopped: () => boolean;
}

/** Reading is several times faster than sealing: one reader feeds about so many workers. */
const WORKERS_PER_READER = 3;
/** Groups of about 1 MiB that wait for a worker or are being sealed, for each worker: bounds the memory that a fast disk could fill. */
const GROUPS_PER_WORKER = 3;
/** A file of this size is read once more, not twice, when it changed meanwhile: it will hardly ever hold still. */
const RELUCTANT_BYTES = 1 << 30;

export class LargeFiles {
  readonly #deps: LargeFilesDeps;
  readonly #readers: WorkerLanes;
  readonly #sealers: WorkerLanes;
  /** Files being read, and how many of them have come to the gate that a pause closes. */
  #reading = 0;
  #parked = 0;
  #gate: { readonly opened: Promise<void>; readonly open: () => void } | undefined;
  #onParked: () => void = () => {};
  /** Memory of groups that were sealed, for those to come. */
  readonly #free: SharedArrayBuffer[] = [];

  constructor(deps: LargeFilesDeps) {
    this.#deps = deps;
    this.#readers = new WorkerLanes(Math.max(1, Math.ceil(deps.pool.size / WORKERS_PER_READER)), 1);
    this.#sealers = new WorkerLanes(deps.pool.size, GROUPS_PER_WORKER);
  }

  /** Takes a file; resolves when there is room for more. */
  async add(file: SmallFile): Promise<void> {
    const reader = await this.#readers.enter();
    this.#reading++;
    void this.#process(file)
      .catch(this.#deps.fail)
      .finally(() => {
        this.#reading--;
        this.#readers.leave(reader);
        this.#onParked();
      });
  }

  /** Holds all files where they are; resolves when no chunk of theirs is on its way into a pack. */
  async pause(): Promise<void> {
    let open!: () => void;
    const opened = new Promise<void>((resolve) => {
      open = resolve;
    });
    this.#gate = { opened, open };
    while (this.#parked < this.#reading) {
      await new Promise<void>((resolve) => {
        this.#onParked = resolve;
      });
    }
    this.#onParked = () => {};
    await this.#sealers.idle();
  }

  resume(): void {
    this.#gate?.open();
    this.#gate = undefined;
  }

  /** Resolves when nothing is in flight. */
  async idle(): Promise<void> {
    await this.#readers.idle();
    await this.#sealers.idle();
  }

  async #process(file: SmallFile): Promise<void> {
    const worker = this.#deps.pool.leastLoaded();
    for (let attempt = 1; ; attempt++) {
      const attempts = file.size > RELUCTANT_BYTES ? 2 : READ_ATTEMPTS_MAX;
      if (await this.#read(file, worker, attempt === attempts)) return;
    }
  }

  /** False when the file changed while it was read and may be read again. */
  async #read(file: SmallFile, worker: number, isLastAttempt: boolean): Promise<boolean> {
    const { pool, base, intake, captureSeconds } = this.#deps;
    const handle = nextBatchNumber();
    const on = { worker };
    const { folder, hardLink } = file;
    // In memory of its own: a view would be posted with all that it is a view of.
    const name = new Uint8Array(file.name);
    const wanted = { name, ...(hardLink === undefined ? {} : { hardLink }) };
    const opened = await pool.run('ingestLarge', { step: 'open', handle, base, folder, file: wanted }, on);
    if (opened.failure !== undefined) return finish(file, opened.failure);
    const sealing = new Set<Promise<void>>();
    let failed: FileOutcome | undefined;
    let isSteady = false;
    let read = 0;
    try {
      for (let next = this.#readOn(handle, worker), ended = false; !ended; ) {
        await this.#passGate();
        if (this.#deps.isStopped()) throw STOPPED;
        const segment = await next;
        if (segment.failure !== undefined) {
          failed = segment.failure;
          break;
        }
        // Asked for before this one's groups queue up on the same worker, or the other workers would wait for them.
        if (segment.last === undefined) next = this.#readOn(handle, worker);
        for (const group of segment.groups!) {
          read += group.bytes.length;
          this.#deps.progress(group.bytes.length);
          const lane = await this.#sealers.enter();
          const sealed = this.#seal(group, lane).finally(() => this.#sealers.leave(lane));
          sealing.add(sealed);
          // A failure stays in the set until it is waited for below.
          sealed.then(() => sealing.delete(sealed), this.#deps.fail);
        }
        ended = segment.last !== undefined;
        isSteady = segment.last?.isSteady === true;
      }
    } catch (error) {
      await pool.run('ingestLarge', { step: 'end', handle, captureSeconds }, on);
      await Promise.allSettled(sealing);
      this.#deps.progress(-read);
      if (error === STOPPED) return true;
      throw error;
    }
    await Promise.all(sealing);
    this.#deps.progress(-read);
    if (failed !== undefined) return finish(file, failed);
    if (!isSteady && !isLastAttempt) {
      await pool.run('ingestLarge', { step: 'end', handle, captureSeconds }, on);
      return false;
    }
    const batch = nextBatchNumber();
    const ended = await pool.run('ingestLarge', { step: 'end', handle, batch, captureSeconds }, on);
    if (ended.failure !== undefined) return finish(file, ended.failure);
    const lists = ended.lists!;
    const needed = intake.needed(lists);
    const sealed = await pool.run('ingestSeal', needed === undefined ? { batch } : { batch, needed }, on);
    if (sealed !== undefined) await intake.store(sealed, lists.ids, 'meta');
    const changedWhileRead = ended.changedWhileRead === true;
    return finish(file, { kind: 'read', at: RECORD_AT, changedWhileRead }, ended.record!);
  }

  #readOn(handle: number, worker: number): Promise<IngestLargeTask['output']> {
    const free = this.#free.splice(0);
    const segment = this.#deps.pool.run('ingestLarge', { step: 'read', handle, free }, { worker });
    // Looked at by the loop; when that ends before, it must not count as unhandled.
    segment.catch(() => {});
    return segment;
  }

  async #passGate(): Promise<void> {
    if (this.#gate === undefined) return;
    this.#parked++;
    this.#onParked();
    await this.#gate.opened;
    this.#parked--;
  }

  async #seal(group: ChunkGroup, lane: number): Promise<void> {
    const { pool, intake } = this.#deps;
    const needed = intake.needed(group);
    if (needed === undefined) {
      this.#free.push(group.bytes.buffer);
      return;
    }
    // Those move to the worker that seals the group; the ids are wanted here afterwards.
    const ids = group.ids.slice();
    const transfer = [group.ids.buffer, group.lengths.buffer];
    const seal = async (into: SharedArrayBuffer) => {
      const sealed = await pool.run('sealGroup', { group, needed, into }, { worker: lane, transfer });
      this.#free.push(group.bytes.buffer);
      return sealed;
    };
    await intake.sealAndStore(seal, ids, 'data');
  }
}

const STOPPED = new Error('stopped');
/** The only record of a buffer begins behind the header (see `FolderState`). */
const RECORD_AT = 16;

function finish(file: SmallFile, outcome: FileOutcome, records: Uint8Array = new Uint8Array(0)): true {
  file.done(outcome, records);
  return true;
}
