/** Worker threads that run the pipeline's tasks, with synchronous calls, so that the main thread never blocks. */
import { Worker } from 'node:worker_threads';
import { EdgeError, toEdgeError } from '../core/errors.ts';
import type { WorkerPool } from '../core/ports/worker-pool.ts';
import { keepMallocSmall } from '../files/malloc.ts';
import type { PipelineTasks } from './tasks.ts';
import type { WorkerConfig } from './worker-config.ts';
import { CLOSE, type ErrorParts, type TaskReply, type TaskRequest, type WorkerStart } from './worker-messages.ts';

export interface WorkerPoolOptions {
  /** Threads; they are started when first used. */
  readonly size: number;
  readonly config: WorkerConfig;
  /** How long a closing pool waits for a task to end; a test waits less. */
  readonly closeMsMax?: number;
}

/** Heap bounds of one worker in MiB: it holds batches outside the heap, and a runaway one must not take the machine's memory. */
const WORKER_HEAP_MIB_MAX = 512;
/** What a worker allocates dies at once; a larger nursery only takes memory (three times this much at its fullest). */
const WORKER_YOUNG_MIB_MAX = 8;

/** A task takes well under a second; what takes longer hangs, and would keep the process for ever. */
const CLOSE_MS_MAX = 5_000;

/** A pool of `size` workers; none runs until the first task, and an idle one does not keep the process alive. */
export function createWorkerPool(options: WorkerPoolOptions): WorkerPool<PipelineTasks> {
  return new Pool(options);
}

interface Pending {
  readonly resolve: (output: never) => void;
  readonly reject: (error: EdgeError) => void;
}

interface Slot {
  worker: Worker | undefined;
  pending: Map<number, Pending>;
  deaths: number;
}

class Pool implements WorkerPool<PipelineTasks> {
  readonly size: number;
  readonly #config: WorkerConfig;
  readonly #slots: Slot[];
  #next = 0;
  #closed = false;
  readonly #closeMsMax: number;
  readonly #closing = new Int32Array(new SharedArrayBuffer(4));

  constructor({ size, config, closeMsMax = CLOSE_MS_MAX }: WorkerPoolOptions) {
    this.size = Math.max(1, size);
    this.#closeMsMax = closeMsMax;
    this.#config = config;
    this.#slots = Array.from({ length: this.size }, () => ({ worker: undefined, pending: new Map(), deaths: 0 }));
  }

  leastLoaded(): number {
    let best = 0;
    for (let i = 1; i < this.size; i++) {
      if (this.#slots[i]!.pending.size < this.#slots[best]!.pending.size) best = i;
    }
    return best;
  }

  run<Name extends keyof PipelineTasks & string>(
    task: Name,
    input: PipelineTasks[Name]['input'],
    options: {
      readonly worker?: number;
      readonly transfer?: readonly ArrayBuffer[];
      readonly signal?: AbortSignal;
    } = {},
  ): Promise<PipelineTasks[Name]['output']> {
    return new Promise((resolve, reject) => {
      if (this.#closed) throw new EdgeError('E_FAILED', 'the worker pool is closed');
      if (options.signal?.aborted === true) throw toEdgeError(abortError(options.signal));
      const slot = this.#slots[options.worker ?? this.leastLoaded()]!;
      const worker = this.#workerOf(slot);
      const number = this.#next++;
      if (slot.pending.size === 0) worker.ref();
      slot.pending.set(number, { resolve: resolve as (output: never) => void, reject });
      try {
        worker.postMessage({ number, task, input } satisfies TaskRequest, options.transfer ?? []);
      } catch (error) {
        this.#settle(slot, number);
        throw error;
      }
    });
  }

  announce(task: keyof PipelineTasks & string): void {
    for (const slot of this.#slots) {
      if (this.#closed || slot.worker !== undefined || slot.deaths > 1) continue;
      this.#workerOf(slot).postMessage({ number: -1, task, input: undefined, isAnnounced: true } satisfies TaskRequest);
    }
  }

  /** Lets each worker end the task that it is at. None is stopped in the middle, unless it hangs: a call into native code that is cut off ends the whole process. */
  async close(): Promise<void> {
    this.#closed = true;
    Atomics.store(this.#closing, 0, 1);
    await Promise.all(
      this.#slots.map(({ worker }) => (worker === undefined ? undefined : endOf(worker, this.#closeMsMax))),
    );
    for (const slot of this.#slots) this.#failAll(slot, new EdgeError('E_FAILED', 'the worker pool was closed'));
  }

  #workerOf(slot: Slot): Worker {
    if (slot.worker !== undefined) return slot.worker;
    if (slot.deaths > 1) throw new EdgeError('E_FAILED', 'a pipeline worker died twice; it is not started again');
    keepMallocSmall();
    const file = import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js';
    const worker = new Worker(new URL(file, import.meta.url), {
      workerData: { config: this.#config, closing: this.#closing } satisfies WorkerStart,
      resourceLimits: { maxOldGenerationSizeMb: WORKER_HEAP_MIB_MAX, maxYoungGenerationSizeMb: WORKER_YOUNG_MIB_MAX },
    });
    worker.unref();
    let cause: unknown;
    worker.on('message', (reply: TaskReply) => {
      const pending = this.#settle(slot, reply.number);
      if (pending === undefined) return;
      if ('error' in reply) pending.reject(putTogether(reply.error));
      else pending.resolve(reply.output as never);
    });
    worker.on('error', (error) => {
      cause = error;
    });
    worker.on('exit', (status) => {
      slot.worker = undefined;
      if (this.#closed) return;
      slot.deaths++;
      const why = cause instanceof Error ? cause.message : `exit ${status}`;
      const hint = /EMFILE|too many open files/i.test(why)
        ? { hint: 'Raise the limit of open files (ulimit -n) and run the command again.' }
        : {};
      this.#failAll(
        slot,
        new EdgeError('E_FAILED', `a pipeline worker died (${why})`, { ...hint, retryable: true, cause }),
      );
    });
    slot.worker = worker;
    return worker;
  }

  #settle(slot: Slot, number: number): Pending | undefined {
    const pending = slot.pending.get(number);
    slot.pending.delete(number);
    if (slot.pending.size === 0) slot.worker?.unref();
    return pending;
  }

  #failAll(slot: Slot, error: EdgeError): void {
    const pending = [...slot.pending.values()];
    slot.pending.clear();
    for (const one of pending) one.reject(error);
  }
}

function endOf(worker: Worker, msMax: number): Promise<void> {
  worker.ref();
  return new Promise((resolve) => {
    const hanging = setTimeout(() => void worker.terminate(), msMax);
    worker.once('exit', () => {
      clearTimeout(hanging);
      resolve();
    });
    worker.postMessage(CLOSE);
  });
}

function putTogether({ code, message, hint, context, retryable, stack }: ErrorParts): EdgeError {
  const error = new EdgeError(code, message, { ...(hint === undefined ? {} : { hint }), context, retryable });
  if (stack !== undefined) error.stack = stack;
  return error;
}

function abortError(signal: AbortSignal): unknown {
  return signal.reason instanceof EdgeError ? signal.reason : new DOMException('aborted', 'AbortError');
}
