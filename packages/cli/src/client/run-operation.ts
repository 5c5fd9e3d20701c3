/** Runs an operation where it has to run: in the agent that has the data dir, or here under its lock. The output is the same. */
import type { OperationOutcome } from '@edgestore/agent/operations/operation';
import type { Session } from '../program/session.ts';
import { secretsOf } from '../unlock/secrets.ts';

export interface GlobalFlags {
  readonly config?: string | undefined;
  readonly 'data-dir'?: string | undefined;
  readonly 'key-file'?: string | undefined;
  readonly 'no-input': boolean;
  readonly yes: boolean;
}

export interface ClientOptions {
  readonly session: Session;
  readonly globals: GlobalFlags;
  readonly emit: (item: unknown) => Promise<void>;
}

export async function runOperation(name: string, input: unknown, options: ClientOptions): Promise<OperationOutcome> {
  const { session, globals, emit } = options;
  const [{ runOperation: run }, { systemClock, systemRandom }] = await Promise.all([
    import('@edgestore/agent/operations/run-operation'),
    import('@edgestore/agent/operations/system'),
  ]);
  return await run(name, input, {
    place: { flagPath: globals.config, dataDir: globals['data-dir'], env: session.env },
    clock: systemClock,
    random: systemRandom,
    ...secretsOf(session, globals),
    signal: session.signal,
    progress: session.report,
    warn: session.warn,
    emit,
  });
}
