/** What the pool and its workers say to each other. */
import type { ErrorCode } from '../core/errors.ts';
import type { WorkerConfig } from './worker-config.ts';

export interface TaskRequest {
  readonly number: number;
  readonly task: string;
  readonly input: unknown;
  /** The task is going to be asked for: only its module is loaded, and nothing answered. */
  readonly isAnnounced?: boolean;
}

/** What a worker is started with. */
export interface WorkerStart {
  readonly config: WorkerConfig;
  /** Its one cell is 1 once the pool closes: tasks that wait are left out then. */
  readonly closing: Int32Array<SharedArrayBuffer>;
}

/** The last message to a worker: it ends when it is through. */
export const CLOSE = 'close';

export type TaskReply =
  | { readonly number: number; readonly output: unknown }
  | { readonly number: number; readonly error: ErrorParts };

/** An `EdgeError` taken apart: structured clone keeps only the message of an error subclass. */
export interface ErrorParts {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string | undefined;
  readonly context: Readonly<Record<string, unknown>>;
  readonly retryable: boolean;
  readonly stack: string | undefined;
}
