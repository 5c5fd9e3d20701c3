/** An error as a person reads it on stderr. */
import type { EdgeError } from '@edgestore/engine/errors';
import type { Colours } from './colour.ts';
import { printable } from './printable.ts';

export function describeError(error: EdgeError, colours: Colours, verbose: boolean): string {
  const lines = [`${colours.red('error:')} ${printable(error.message, '\n')} ${colours.dim(`(${error.code})`)}`];
  if (error.hint !== undefined) lines.push(`  ${printable(error.hint, '\n')}`);
  if (verbose) {
    for (const [key, value] of Object.entries(error.context))
      lines.push(colours.dim(`  ${key}: ${printable(JSON.stringify(value) ?? '')}`));
    for (let cause = error.cause; cause instanceof Error; cause = cause.cause)
      lines.push(colours.dim(`  because: ${printable(cause.message)}`));
    lines.push(colours.dim(deepestStack(error)));
  }
  return lines.join('\n');
}

/** Where it began: the stack of the innermost cause. */
function deepestStack(error: Error): string {
  let deepest = error;
  while (deepest.cause instanceof Error) deepest = deepest.cause;
  return deepest.stack ?? '';
}
