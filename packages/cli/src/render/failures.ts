/** Items that could not be read or restored. */
import type { TextContext } from '../base-command.ts';
import { shownPath } from './lines.ts';

export interface Failure {
  readonly path: string;
  readonly path_b64?: string;
  readonly message: string;
}

const SHOWN_MAX = 20;

/** One line each; beyond some, only how many (all with -v, and in JSON). */
export function failureLines(failures: readonly Failure[], { colours, verbose }: TextContext): string[] {
  const shown = verbose ? failures : failures.slice(0, SHOWN_MAX);
  const lines = shown.map((failure) => `  ${colours.red('failed')}  ${shownPath(failure)}: ${failure.message}`);
  if (failures.length > shown.length) lines.push(`  … and ${failures.length - shown.length} more (-v shows all)`);
  return lines;
}
