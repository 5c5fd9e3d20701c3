/** Operations that run in the agent as jobs: what each does, what came of it, and streams of it to whoever asked. */
import { type Clock, EdgeError, type Progress, toEdgeError, type Warning } from '@edgestore/engine';
import type { AgentHome } from '../home/agent-home.ts';
import type { Operation, OperationOutcome } from '../operations/operation.ts';
import type { Job, JobBoard, JobState } from './running-agent.ts';

export type JobEvent =
  | { readonly type: 'progress'; readonly progress: Progress }
  | { readonly type: 'warning'; readonly warning: Warning }
  | { readonly type: 'item'; readonly item: unknown }
  | { readonly type: 'result'; readonly outcome: OperationOutcome }
  | { readonly type: 'error'; readonly error: EdgeError };

export interface RunnableJobs extends JobBoard {
  /** Begins the operation. E_BUSY when too many run. */
  start(operation: Operation, input: unknown): Job;
  /**
   * Events from the beginning on, ending with `result` or `error`. One stream for each job gets the items; it is waited for while it is slow.
   * E_BUSY for a second one.
   */
  stream(id: string, signal: AbortSignal): AsyncGenerator<JobEvent>;
  onChange(listener: (job: Job) => void): () => void;
  /** Tells all to end; their streams say so to whoever reads them. */
  end(): void;
  /** Cancels all and resolves when they have ended. */
  close(): Promise<void>;
}

/** Jobs at once: they share two disks and a pool of workers anyway. */
const RUNNING_MAX = 32;
/** Ended jobs that are remembered. */
const ENDED_MAX = 200;
/** Items that wait for a reader before the operation does. */
const ITEMS_WAITING_MAX = 256;
/** An operation whose items nobody comes to read goes on without them. */
const UNREAD_MS_MAX = 60_000;
const WARNINGS_MAX = 1000;

interface Entry {
  job: Job;
  readonly abort: AbortController;
  readonly waiting: JobEvent[];
  isRead: boolean;
  /** Called when something was added or taken. */
  notify: () => void;
  changed: Promise<void>;
  ended: Promise<void>;
}

export function createJobBoard(home: AgentHome, clock: Clock): RunnableJobs {
  const entries = new Map<string, Entry>();
  const listeners = new Set<(job: Job) => void>();
  let number = 0;

  function renew(entry: Entry): void {
    entry.notify();
    entry.changed = new Promise((resolve) => {
      entry.notify = resolve;
    });
  }

  function change(entry: Entry, changes: Partial<Job>): void {
    entry.job = { ...entry.job, ...changes };
    for (const listener of listeners) listener(entry.job);
  }

  function push(entry: Entry, event: JobEvent): void {
    // Of progress only the newest counts.
    const last = entry.waiting.at(-1);
    if (event.type === 'progress' && last?.type === 'progress') entry.waiting.pop();
    entry.waiting.push(event);
    renew(entry);
  }

  /** Waits while the reader is slow; gives up on a reader that never came. */
  async function pushItem(entry: Entry, item: unknown): Promise<void> {
    const untilMs = clock.monotonicMs() + UNREAD_MS_MAX;
    while (entry.waiting.length >= ITEMS_WAITING_MAX) {
      entry.abort.signal.throwIfAborted();
      if (!entry.isRead && clock.monotonicMs() > untilMs) return;
      const nap = new AbortController();
      await Promise.race([entry.changed, clock.sleep(1000, nap.signal).catch(() => {})]);
      nap.abort();
    }
    push(entry, { type: 'item', item });
  }

  async function run(entry: Entry, operation: Operation, input: unknown): Promise<void> {
    const end = (state: JobState, changes: Partial<Job>): void =>
      change(entry, { ...changes, state, endedNs: clock.nowNs() });
    try {
      const outcome = await operation.run(input, {
        home,
        signal: entry.abort.signal,
        progress: (progress) => {
          entry.job = { ...entry.job, progress };
          push(entry, { type: 'progress', progress });
        },
        warn: (warning) => {
          if (entry.job.warnings.length >= WARNINGS_MAX) return;
          entry.job = { ...entry.job, warnings: [...entry.job.warnings, warning] };
          push(entry, { type: 'warning', warning });
        },
        emit: (item) => pushItem(entry, item),
      });
      end('done', { outcome, exitCode: outcome.exitCode ?? 0 });
      push(entry, { type: 'result', outcome });
    } catch (thrown) {
      const error = toEdgeError(thrown);
      const { code, message, exitCode, hint, context } = error;
      end(entry.abort.signal.aborted ? 'cancelled' : 'failed', {
        exitCode,
        error: { code, message, exit: exitCode, context, ...(hint === undefined ? {} : { hint }) },
      });
      push(entry, { type: 'error', error });
    }
  }

  function forgetOld(): void {
    const ended = [...entries.values()].filter((entry) => entry.job.state !== 'running');
    for (const entry of ended.slice(0, Math.max(0, ended.length - ENDED_MAX))) entries.delete(entry.job.id);
  }

  function require(id: string): Entry {
    const entry = entries.get(id);
    if (entry === undefined) throw new EdgeError('E_NOT_FOUND', `there is no job ${JSON.stringify(id.slice(0, 40))}`);
    return entry;
  }

  function endAll(): void {
    const error = new EdgeError('E_TERMINATED', 'the agent is stopping', {
      hint: 'What was acknowledged is kept, and what is queued stays so. Run the command again.',
    });
    for (const entry of entries.values()) entry.abort.abort(error);
  }

  return {
    start(operation, input) {
      const running = [...entries.values()].filter((entry) => entry.job.state === 'running').length;
      if (running >= RUNNING_MAX) throw new EdgeError('E_BUSY', `${running} jobs run already`, { retryable: true });
      const job: Job = {
        id: String(++number),
        operation: operation.name,
        state: 'running',
        startedNs: clock.nowNs(),
        endedNs: undefined,
        progress: undefined,
        warnings: [],
        exitCode: undefined,
        outcome: undefined,
        error: undefined,
      };
      const entry: Entry = {
        job,
        abort: new AbortController(),
        waiting: [],
        isRead: false,
        notify: () => {},
        changed: Promise.resolve(),
        ended: Promise.resolve(),
      };
      renew(entry);
      entries.set(job.id, entry);
      for (const listener of listeners) listener(job);
      entry.ended = run(entry, operation, input);
      forgetOld();
      return job;
    },
    async *stream(id, signal) {
      const entry = require(id);
      if (entry.isRead) throw new EdgeError('E_BUSY', `job ${id} is being read already`);
      entry.isRead = true;
      const gone = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
      while (!signal.aborted) {
        const event = entry.waiting.shift();
        if (event === undefined) {
          await Promise.race([entry.changed, gone]);
          continue;
        }
        renew(entry);
        yield event;
        if (event.type === 'result' || event.type === 'error') return;
      }
    },
    list: () => [...entries.values()].map((entry) => entry.job).reverse(),
    find: (id) => entries.get(id)?.job,
    cancel(id) {
      const entry = require(id);
      if (entry.job.state !== 'running') return false;
      entry.abort.abort(new EdgeError('E_INTERRUPTED', 'the job was cancelled'));
      return true;
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    end: endAll,
    async close() {
      endAll();
      await Promise.all([...entries.values()].map((entry) => entry.ended));
    },
  };
}
