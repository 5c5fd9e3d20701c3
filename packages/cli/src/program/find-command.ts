/** Which command the words of the command line name. */

import { EdgeError } from '@edgestore/engine/errors';
import { nearestName } from '@edgestore/engine/nearest-name';
import { globalFlagNamed } from '../global-flags.ts';

export type FoundCommand =
  | { readonly kind: 'command'; readonly id: string; readonly argv: readonly string[] }
  /** `id` undefined: the whole program. */
  | { readonly kind: 'help'; readonly id: string | undefined }
  | { readonly kind: 'version' };

/**
 * @param ids every command as `topic:verb`.
 * Global flags may stand before the command. E_USAGE for words that name no command, with the nearest one that does.
 */
export function findCommand(argv: readonly string[], ids: readonly string[]): FoundCommand {
  const { leading, rest } = splitLeadingFlags(argv);
  const words = leadingWords(rest);
  const wantsHelp = hasHelpFlag(argv);
  if (leading.includes('--version') || (words.length === 0 && rest[0] === '--version')) return { kind: 'version' };
  if (words[0] === 'help') return { kind: 'help', id: helpTarget(words.slice(1), ids) };
  if (words.length === 0) {
    if (wantsHelp || rest.length === 0) return { kind: 'help', id: undefined };
    throw new EdgeError('E_USAGE', `the command is missing before ${rest[0]}`, { hint: 'See: edgestore --help' });
  }
  const id = longestId(words, ids);
  if (id === undefined) {
    const topic = words[0]!;
    if (isTopic(topic, ids)) {
      if (words.length === 1) {
        if (wantsHelp) return { kind: 'help', id: topic };
        throw new EdgeError('E_USAGE', `${topic} needs a verb: ${verbsOf(topic, ids).join(', ')}`, {
          hint: `See: edgestore ${topic} --help`,
        });
      }
      throw unknownCommand(words.slice(0, 2).join(' '), ids, topic);
    }
    throw unknownCommand(topic, ids);
  }
  if (wantsHelp) return { kind: 'help', id };
  return { kind: 'command', id, argv: [...leading, ...rest.slice(id.split(':').length)] };
}

/** Global flags (with their values) that stand before the command. */
function splitLeadingFlags(argv: readonly string[]): { leading: string[]; rest: string[] } {
  let at = 0;
  while (at < argv.length && argv[at]!.startsWith('-') && argv[at] !== '--') {
    const flag = globalFlagNamed(argv[at]!);
    if (flag === undefined && argv[at] !== '--help' && argv[at] !== '-h' && argv[at] !== '--version') break;
    at += flag?.takesValue === true && !argv[at]!.includes('=') ? 2 : 1;
  }
  return { leading: argv.slice(0, at).filter((a) => a !== '--help' && a !== '-h'), rest: argv.slice(at) };
}

function leadingWords(argv: readonly string[]): string[] {
  const end = argv.findIndex((argument) => argument.startsWith('-'));
  return argv.slice(0, end === -1 ? argv.length : end);
}

function hasHelpFlag(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  return argv.slice(0, end === -1 ? argv.length : end).some((a) => a === '--help' || a === '-h');
}

function longestId(words: readonly string[], ids: readonly string[]): string | undefined {
  for (let length = Math.min(3, words.length); length > 0; length--) {
    const id = words.slice(0, length).join(':');
    if (ids.includes(id)) return id;
  }
  return undefined;
}

function helpTarget(words: readonly string[], ids: readonly string[]): string | undefined {
  if (words.length === 0) return undefined;
  const id = longestId(words, ids);
  if (id !== undefined) return id;
  if (words.length === 1 && isTopic(words[0]!, ids)) return words[0];
  throw unknownCommand(words.join(' '), ids);
}

function isTopic(word: string, ids: readonly string[]): boolean {
  return ids.some((id) => id.startsWith(`${word}:`));
}

function verbsOf(topic: string, ids: readonly string[]): string[] {
  return ids
    .filter((id) => id.startsWith(`${topic}:`))
    .map((id) => id.slice(topic.length + 1))
    .sort();
}

function unknownCommand(typed: string, ids: readonly string[], topic?: string): EdgeError {
  const names = ids.map((id) => id.replaceAll(':', ' '));
  const topics = [...new Set(ids.filter((id) => id.includes(':')).map((id) => id.split(':')[0]!))];
  const near = nearestName(
    typed,
    topic === undefined ? [...names, ...topics] : names.filter((n) => n.startsWith(`${topic} `)),
  );
  return new EdgeError(
    'E_USAGE',
    `there is no command "${typed}"${near === undefined ? '' : `; did you mean "${near}"?`}`,
    {
      hint: topic === undefined ? 'See: edgestore --help' : `Its verbs are: ${verbsOf(topic, ids).join(', ')}`,
    },
  );
}
