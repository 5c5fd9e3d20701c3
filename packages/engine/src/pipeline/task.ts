/** The shape of a worker's task: plain input in, plain output out, with buffers that move to the main thread without a copy. */
import type { WorkerContext } from './worker-context.ts';

export interface TaskResult<Output> {
  readonly output: Output;
  /** Buffers within `output` that are handed over; the worker must not touch them afterwards. */
  readonly transfer?: readonly ArrayBuffer[];
}

/**
 * Tasks of one worker run one after the other in the order they were sent. They use synchronous calls: a worker has nothing else to do.
 * Only loading a library for the first time is awaited.
 */
export type Task<Input, Output> = (
  input: Input,
  context: WorkerContext,
) => TaskResult<Output> | Promise<TaskResult<Output>>;
