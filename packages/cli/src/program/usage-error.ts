/** Any thrown value as an `EdgeError`; the parser's own complaints are usage errors (exit 2), in our words and without its colours. */
import { EdgeError, toEdgeError } from '@edgestore/engine/errors';
import { nearestName } from '@edgestore/engine/nearest-name';

/** @param command as typed, `snapshot list`; undefined before it is known. */
export function usageError(thrown: unknown, command?: string): EdgeError {
  if (thrown instanceof EdgeError) return thrown;
  if (!isParserError(thrown)) return toEdgeError(thrown);
  return new EdgeError('E_USAGE', messageOf(thrown), {
    hint: command === undefined ? 'See the command with --help.' : `See: edgestore ${command} --help`,
  });
}

/** What oclif's parser throws, as far as we look into it. */
interface ParserError extends Error {
  readonly args?: readonly { readonly name?: string; readonly description?: string }[];
  readonly flags?: readonly string[];
  readonly parse?: { readonly input?: { readonly flags?: Readonly<Record<string, unknown>> } };
}

/** Errors of oclif carry `oclif.exit`. */
function isParserError(thrown: unknown): thrown is ParserError {
  return thrown instanceof Error && typeof (thrown as { oclif?: unknown }).oclif === 'object';
}

function messageOf(error: ParserError): string {
  const text = error.message
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the parser's texts hold colours.
    .replace(/\x1b\[[0-9;]*m/g, '')
    .replace(/\nSee more help with --help\s*$/, '')
    .replace(/^The following errors? occurred:\s*/, '')
    .trim();
  if (/^Missing \d+ required arg/.test(text) && error.args !== undefined)
    return error.args
      .map(({ name, description }) => `${name?.toUpperCase()} is missing${description ? ` (${description})` : ''}`)
      .join('; ');
  if (text.startsWith('Nonexistent flag') && error.flags !== undefined)
    return error.flags.map((flag) => unknownFlag(flag, Object.keys(error.parse?.input?.flags ?? {}))).join('; ');
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .join('; ')
    .replace(/^Parsing (--[\w-]+);?\s*/, '$1: ')
    .replace(/(^|; |: )Missing required flag /g, '$1--')
    .replace(/^(--[\w-]+)$/, '$1 is required')
    .replace(/(--[\w-]+)(?:=[^;]*?)? cannot also be provided when using (--[\w-]+)/g, '$1 and $2 exclude each other')
    .replace(/All of the following must be provided when using (--[\w-]+): /g, '$1 needs ')
    .replace(/^Expected (--[\w-]+)=(.*) to be one of: (.*)$/s, (_, flag: string, typed: string, options: string) => {
      return `${flag} is one of ${options}, not ${JSON.stringify(typed)}`;
    })
    .replace(/(^|: )[A-Z](?=[a-z])/g, (start) => start.toLowerCase());
}

function unknownFlag(typed: string, known: readonly string[]): string {
  const near = typed.startsWith('--') ? nearestName(typed.slice(2), known) : undefined;
  return `there is no flag ${typed}${near === undefined ? '' : `; did you mean --${near}?`}`;
}
