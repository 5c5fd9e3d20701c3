/** Any thrown value as an `EdgeError`; the parser's own complaints are usage errors (exit 2), in one line without its colours. */
import { EdgeError, toEdgeError } from '@edgestore/engine/errors';

export function usageError(thrown: unknown): EdgeError {
  if (thrown instanceof EdgeError) return thrown;
  if (!isParserError(thrown)) return toEdgeError(thrown);
  const message = thrown.message
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the parser's texts hold colours.
    .replace(/\x1b\[[0-9;]*m/g, '')
    .replace(/\nSee more help with --help\s*$/, '')
    .replace(/^The following errors? occurred:\s*/, '')
    .trim();
  return new EdgeError('E_USAGE', lowerFirst(message), { hint: 'See the command with --help.' });
}

/** Errors of oclif carry `oclif.exit`. */
function isParserError(thrown: unknown): thrown is Error {
  return thrown instanceof Error && typeof (thrown as { oclif?: unknown }).oclif === 'object';
}

function lowerFirst(text: string): string {
  return text.replace(/^Nonexistent flags?: /, 'there is no flag ').replace(/^[A-Z](?=[a-z])/, (c) => c.toLowerCase());
}
