/** The entry of a pipeline worker thread: runs the tasks that the pool sends, one after the other, in order. */
import { parentPort, workerData } from 'node:worker_threads';
import { toEdgeError } from '../core/errors.ts';
import type { Task } from './task.ts';
import { TASK_LOADERS } from './tasks.ts';
import { createWorkerContext } from './worker-context.ts';
import { CLOSE, type ErrorParts, type TaskReply, type TaskRequest, type WorkerStart } from './worker-messages.ts';

const port = parentPort;
if (port === null) throw new Error('pipeline/worker.ts runs as a worker thread only');

const { config, closing } = workerData as WorkerStart;
const context = createWorkerContext(config);
const tasks = new Map<string, Task<unknown, unknown>>();
let last: Promise<void> = Promise.resolve();

port.on('message', (request: TaskRequest | typeof CLOSE) => {
  last = last.then(() => (request === CLOSE ? port.close() : answer(request)));
});

async function answer({ number, task: name, input, isAnnounced }: TaskRequest): Promise<void> {
  if (Atomics.load(closing, 0) === 1) return;
  try {
    const task = tasks.get(name) ?? (await load(name));
    if (isAnnounced === true) return;
    const result = task(input, context);
    const { output, transfer } = result instanceof Promise ? await result : result;
    port!.postMessage({ number, output } satisfies TaskReply, (transfer ?? []) as ArrayBuffer[]);
  } catch (error) {
    // What cannot be loaded is told to who asks for it.
    if (isAnnounced === true) return;
    port!.postMessage({ number, error: takeApart(error) } satisfies TaskReply);
  }
}

async function load(name: string): Promise<Task<unknown, unknown>> {
  const { task } = await TASK_LOADERS[name as keyof typeof TASK_LOADERS]();
  tasks.set(name, task as Task<unknown, unknown>);
  return task as Task<unknown, unknown>;
}

function takeApart(thrown: unknown): ErrorParts {
  const error = toEdgeError(thrown);
  const { code, message, hint, context, retryable } = error;
  const stack = thrown instanceof Error ? thrown.stack : undefined;
  return { code, message, hint, context: JSON.parse(JSON.stringify(context)), retryable, stack };
}
