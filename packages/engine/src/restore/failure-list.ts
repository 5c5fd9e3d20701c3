/** Collects what could not be restored: each item once, bounded, and never an end of the rest. */
import type { EdgeError, ErrorCode } from '../core/errors.ts';
import type { RestoreFailure } from './restore-types.ts';

/** Failures kept with their words; beyond, they are only counted. */
export const FAILURES_LISTED_MAX = 10_000;

export interface FailureList {
  /** `counts` when a file is lost by it: metadata that could not be set on a restored file does not. */
  add(path: Uint8Array, failure: { readonly code: ErrorCode; readonly message: string }, countsAsFile?: boolean): void;
  readonly listed: readonly RestoreFailure[];
  readonly omitted: number;
  readonly failedFiles: number;
}

export function createFailureList(): FailureList {
  const listed: RestoreFailure[] = [];
  let omitted = 0;
  let failedFiles = 0;
  return {
    add(path, { code, message }, countsAsFile = true) {
      if (countsAsFile) failedFiles++;
      if (listed.length < FAILURES_LISTED_MAX) listed.push({ path: Uint8Array.from(path), code, message });
      else omitted++;
    },
    get listed() {
      return listed;
    },
    get omitted() {
      return omitted;
    },
    get failedFiles() {
      return failedFiles;
    },
  };
}

/**
 * The exit code that a restore's failures ask for: 0 without any; 7 when a tree itself was not what a capture writes (someone made it by
 * hand); else 3.
 */
export function restoreExitCode(failures: readonly Pick<RestoreFailure, 'code'>[] | readonly EdgeError[]): number {
  if (failures.length === 0) return 0;
  return failures.some((failure) => failure.code === 'E_FORMAT') ? 7 : 3;
}
