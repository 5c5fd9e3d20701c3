/**
 * A setup is a command that works on a data dir which is not open, or not there yet: `init`, `recover`, `peer join`, `config`, `doctor`. It always runs in
 * the process that was started for it; the rest is as in an operation.
 */
import type { Clock, RandomBytes, ReportProgress, ReportWarning, SlotSecret } from '@edgestore/engine';
import type { z } from 'zod';
import type { OperationOutcome } from './operation.ts';

export interface SetupContext {
  /** `--config` and `--data-dir` as typed, and the environment: what `loadConfig` takes. */
  readonly place: {
    readonly flagPath: string | undefined;
    readonly dataDir: string | undefined;
    readonly env: NodeJS.ProcessEnv;
  };
  readonly clock: Clock;
  readonly random: RandomBytes;
  /** The secret that opens the vault which is there; `storedKeyFile` is `DataDir.storedKeyFile`. */
  readonly secret: (storedKeyFile: string) => Promise<SlotSecret>;
  /** A passphrase that the environment gives for a vault to be made; undefined when it gives none. */
  readonly newPassphrase: () => Promise<string | undefined>;
  /** Asks for a new passphrase, twice; undefined where nobody can be asked. */
  readonly askNewPassphrase: (() => Promise<string>) | undefined;
  /** Shows a secret text on the user's terminal; undefined where there is none. */
  readonly showOnce: ((text: string) => Promise<void>) | undefined;
  readonly signal: AbortSignal;
  readonly progress: ReportProgress;
  readonly warn: ReportWarning;
}

export interface Setup<Input = unknown, Result = unknown> {
  readonly name: string;
  readonly input: z.ZodType<Input>;
  run(input: Input, context: SetupContext): Promise<OperationOutcome<Result>>;
}

export function defineSetup<Input, Result>(setup: Setup<Input, Result>): Setup<Input, Result> {
  return setup;
}
