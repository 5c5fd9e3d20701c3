/** Worker threads as flows see them: named tasks with structured-clonable input and output. */
export interface WorkerPool<Tasks extends TaskMap = TaskMap> {
  /** How many workers there are. */
  readonly size: number;
  /**
   * Runs a task on the given worker, or on the least loaded one. Buffers in `transfer` move to the worker without a copy. Errors thrown
   * by the task arrive as `EdgeError`s with their code. A worker that dies fails its tasks and is replaced once.
   */
  run<Name extends keyof Tasks & string>(
    task: Name,
    input: Tasks[Name]['input'],
    options?: { readonly worker?: number; readonly transfer?: readonly ArrayBuffer[]; readonly signal?: AbortSignal },
  ): Promise<Tasks[Name]['output']>;
  /** All workers are going to be asked for this task: those that do not run yet are started, so that they are ready when it comes. */
  announce(task: keyof Tasks & string): void;
  /** The worker with the fewest tasks under way. */
  leastLoaded(): number;
  close(): Promise<void>;
}

export type TaskMap = Record<string, { readonly input: unknown; readonly output: unknown }>;
