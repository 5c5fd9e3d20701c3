/** One file: text to checked values, with every problem and its line. */

import { nearestName } from '@edgestore/engine/nearest-name';
import { parse, TomlError } from 'smol-toml';
import type { z } from 'zod';
import { type ConfigItemWriter, configItemWriter } from './config-item-writer.ts';
import { findKeyPositions, type KeyPositions, lineOf } from './key-positions.ts';
import { type ConfigFile, configFileSchema, knownKeys } from './schema.ts';
import type { ConfigText } from './search-config.ts';

export interface ParsedConfigFile {
  readonly file: string;
  /** The command that wrote the file; undefined for a person. */
  readonly writer: ConfigItemWriter | undefined;
  readonly positions: KeyPositions;
  /** As written, for `config show` and duplicates; empty when the text is no TOML. */
  readonly raw: Readonly<Record<string, unknown>>;
  /** Undefined when the file has problems. */
  readonly values: ConfigFile | undefined;
  readonly problems: readonly ConfigProblem[];
}

export interface ConfigProblem {
  readonly file: string;
  readonly line: number;
  /** Dotted, e.g. `roots[1].rescan`; empty for a syntax error. */
  readonly key: string;
  readonly problem: string;
  /** The known name that was likely meant. */
  readonly nearest?: string;
}

export function parseConfigFile(source: ConfigText): ParsedConfigFile {
  const writer = configItemWriter(source.text);
  let raw: Record<string, unknown>;
  try {
    raw = parse(source.text) as Record<string, unknown>;
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    // The parser's message repeats the lines around the place; its first line says what is wrong.
    const problem = error.message.replace(/^Invalid TOML document: /, '').split('\n')[0]!;
    return {
      file: source.file,
      writer,
      positions: new Map(),
      raw: {},
      values: undefined,
      problems: [{ file: source.file, line: error.line, key: '', problem: `is not valid TOML: ${problem}` }],
    };
  }
  const positions = findKeyPositions(source.text);
  const checked = configFileSchema.safeParse(raw, { reportInput: true });
  const problems = checked.success
    ? []
    : checked.error.issues.flatMap((issue) => problemsOf(issue, source.file, positions));
  return { file: source.file, writer, positions, raw, values: checked.success ? checked.data : undefined, problems };
}

/** `roots[1].rescan` */
export function formatKeyPath(path: readonly PropertyKey[]): string {
  return path
    .map((part, i) => (typeof part === 'number' ? `[${part}]` : `${i === 0 ? '' : '.'}${String(part)}`))
    .join('');
}

function problemsOf(issue: z.core.$ZodIssue, file: string, positions: KeyPositions): ConfigProblem[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => {
      const path = [...issue.path, key];
      const nearest = nearestName(key, knownKeys(issue.path));
      return {
        file,
        line: lineOf(positions, path),
        key: formatKeyPath(path),
        problem: 'is not a known key',
        ...(nearest === undefined ? {} : { nearest }),
      };
    });
  }
  // A missing key has no place of its own: the line of what it is missing in.
  const isMissing = issue.input === undefined && issue.code === 'invalid_type';
  return [
    {
      file,
      line: lineOf(positions, issue.path),
      key: formatKeyPath(issue.path),
      problem: isMissing ? 'is missing' : describe(issue),
    },
  ];
}

function describe(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_key':
      return issue.issues[0]?.message ?? issue.message;
    case 'invalid_type':
      return issue.message.startsWith('Invalid input') ? `has to be ${articled(issue.expected)}` : issue.message;
    case 'invalid_value':
      return `has to be one of ${issue.values.map((v) => JSON.stringify(v)).join(', ')}`;
    case 'too_small':
      return `has to be ${issue.inclusive ? 'at least' : 'more than'} ${issue.minimum}`;
    case 'too_big':
      return `has to be at most ${issue.maximum}`;
    default:
      return issue.message;
  }
}

function articled(type: string): string {
  const names: Record<string, string> = {
    string: 'a text in quotes',
    boolean: 'true or false',
    int: 'a whole number',
    number: 'a number',
    array: 'a list in [ ]',
    object: 'a table',
    record: 'a table',
  };
  return names[type] ?? type;
}
