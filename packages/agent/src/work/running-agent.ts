/** What operations may ask of the agent that they run in. */
import type { Progress, Warning } from '@edgestore/engine';
import type { OperationOutcome } from '../operations/operation.ts';
import type { WorkerStatus } from './worker.ts';

export interface RunningAgent {
  readonly startedNs: bigint;
  /** `host:port` of the peer server; undefined when it does not listen. */
  readonly listens: string | undefined;
  readonly jobs: JobBoard;
  workers(): readonly WorkerStatus[];
  /** Names of the roots whose folders are watched. */
  watching(): readonly string[];
  /** Records were written: targets are owed them. */
  noteNewWork(): void;
  /** Ends the agent after the answer of the operation has left. */
  stop(): void;
}

export type JobState = 'running' | 'done' | 'failed' | 'cancelled';

export interface Job {
  readonly id: string;
  readonly operation: string;
  readonly state: JobState;
  readonly startedNs: bigint;
  readonly endedNs: bigint | undefined;
  readonly progress: Progress | undefined;
  readonly warnings: readonly Warning[];
  readonly exitCode: number | undefined;
  readonly outcome: OperationOutcome | undefined;
  readonly error:
    | {
        readonly code: string;
        readonly message: string;
        readonly hint?: string;
        readonly exit: number;
        readonly context?: unknown;
      }
    | undefined;
}

/** Jobs under way and the last ended ones, newest first. */
export interface JobBoard {
  list(): readonly Job[];
  find(id: string): Job | undefined;
  /** False when it has ended already. E_NOT_FOUND when there is none. */
  cancel(id: string): boolean;
}
