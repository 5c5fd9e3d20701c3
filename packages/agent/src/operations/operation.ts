/**
 * An operation is what a command does, apart from how it is typed or shown. The CLI runs it in its own process under the data dir's lock,
 * or sends its name and input to the running agent; input, items and result are plain JSON either way, so the output is the same.
 */
import type { ReportProgress, ReportWarning } from '@edgestore/engine';
import type { z } from 'zod';
import type { AgentHome } from '../home/agent-home.ts';

export interface OperationContext {
  /** The opened data dir: config, engine, peers, stores. */
  readonly home: AgentHome;
  readonly signal: AbortSignal;
  readonly progress: ReportProgress;
  readonly warn: ReportWarning;
  /** Hands out one item of a long listing (`ls`, `find`, `diff`), or a piece of content as `{ b64 }` (`cat`); waits when the reader is slow. */
  readonly emit: (item: unknown) => Promise<void>;
}

export interface Operation<Input = unknown, Result = unknown> {
  /** As in jobs and URLs: `sync`, `snapshot.list`. */
  readonly name: string;
  readonly input: z.ZodType<Input>;
  /** Changes something in the data dir, a peer or a bucket: runs as a job, and under the lock when there is no agent. */
  readonly mutates: boolean;
  /** What it changes lies elsewhere: the data dir, peers and buckets stay as they are. */
  readonly onlyReads?: true;
  /** With this input it can do with a damaged log of this agent, and repairs it. */
  readonly repairsLog?: (input: Input) => boolean;
  /** Returns the JSON result. A partial outcome is returned with `exitCode` beside it, never thrown away. */
  run(input: Input, context: OperationContext): Promise<OperationOutcome<Result>>;
}

export interface OperationOutcome<Result = unknown> {
  readonly data: Result;
  /** 0 when absent; e.g. 3 for partial, 5 for not enough copies, 20 for findings. */
  readonly exitCode?: number;
}

export function defineOperation<Input, Result>(operation: Operation<Input, Result>): Operation<Input, Result> {
  return operation;
}
