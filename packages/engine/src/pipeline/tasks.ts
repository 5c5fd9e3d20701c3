/**
 * The tasks that pipeline workers know, one file each under `tasks/`. A worker loads a task's file when it is first asked for it, so that
 * a run which needs no compression does not pay for loading it.
 */
import type { Task } from './task.ts';
import type { EchoTask } from './tasks/echo.ts';

export type PipelineTasks = {
  echo: EchoTask;
};

type TaskLoaders = {
  readonly [Name in keyof PipelineTasks]: () => Promise<{
    readonly task: Task<PipelineTasks[Name]['input'], PipelineTasks[Name]['output']>;
  }>;
};

export const TASK_LOADERS: TaskLoaders = {
  echo: () => import('./tasks/echo.ts'),
};
