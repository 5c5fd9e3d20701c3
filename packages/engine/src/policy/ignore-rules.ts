/**
 * What a capture leaves out: the root's `exclude` patterns and the `.edgestoreignore` files, in gitignore syntax (git's own `gitignore` manual), over
 * byte names. The `ignore` package works on strings, so bytes go through it as Latin-1, one character a byte.
 */
import ignore, { type Ignore } from 'ignore';
import { asBuffer } from '../core/bytes.ts';
import { escapeName } from './escape-name.ts';

export const IGNORE_FILE_NAME = '.edgestoreignore';
/** A longer ignore file is refused by whoever reads it. */
export const IGNORE_FILE_BYTES_MAX = 1024 * 1024;

/** Why something is left out. */
export interface IgnoreMatch {
  /** The pattern as written. */
  readonly pattern: string;
  /** `exclude` for the root's config, or the ignore file's path below the root, as text. */
  readonly origin: string;
}

/** The rules that hold for what lies directly in one folder. A walk carries one along and calls `enter` for each folder that it goes down into. */
export interface FolderIgnore {
  /** Why the entry of this name is left out, or undefined when it is kept. */
  match(name: Uint8Array, isFolder: boolean): IgnoreMatch | undefined;
  /** The rules inside a folder, whose own ignore file has this content (undefined when it has none). */
  enter(name: Uint8Array, ignoreFile: Uint8Array | undefined): FolderIgnore;
}

/**
 * The rules at the top of a root.
 *
 * @param exclude the root's `exclude` patterns: firm, no ignore file takes back what they leave out
 * @param ignoreFile content of the top folder's own ignore file
 */
export function createIgnoreRules(exclude: readonly string[], ignoreFile: Uint8Array | undefined): FolderIgnore {
  const firm = exclude.flatMap((line) => ruleOf(Buffer.from(line, 'utf8').toString('latin1'), '', 'exclude'));
  return new Folder(new RuleSet(undefined, firm), new RuleSet(undefined, []), '').withFile(ignoreFile);
}

interface Rule {
  pattern: string;
  /** Origin, NUL, pattern as written: the package hands it back with the rule that matched. */
  mark: string;
}

class Folder implements FolderIgnore {
  readonly #firm: RuleSet;
  readonly #files: RuleSet;
  /** Path of the folder below the root as Latin-1, ending with a slash; empty for the root. */
  readonly #path: string;

  constructor(firm: RuleSet, files: RuleSet, path: string) {
    this.#firm = firm;
    this.#files = files;
    this.#path = path;
  }

  match(name: Uint8Array, isFolder: boolean): IgnoreMatch | undefined {
    const path = `${this.#path}${latin1(name)}${isFolder ? '/' : ''}`;
    return this.#firm.match(path) ?? this.#files.match(path);
  }

  enter(name: Uint8Array, ignoreFile: Uint8Array | undefined): FolderIgnore {
    return new Folder(this.#firm, this.#files, `${this.#path}${latin1(name)}/`).withFile(ignoreFile);
  }

  withFile(content: Uint8Array | undefined): Folder {
    if (content === undefined) return this;
    const origin = `${escapeName(Buffer.from(this.#path, 'latin1'))}${IGNORE_FILE_NAME}`;
    const rules = linesOf(content).flatMap((line) => ruleOf(line, this.#path, origin));
    return rules.length === 0 ? this : new Folder(this.#firm, new RuleSet(this.#files, rules), this.#path);
  }
}

/** The package remembers every path that it was asked about; after so many it is given a new memory. */
const REMEMBERED_PATHS_MAX = 10_000;

/** Rules of an ignore file behind those of the folders above it: the last one that matches decides. */
class RuleSet {
  readonly #rules: Ignore;
  readonly #isEmpty: boolean;
  #matcher: Ignore;
  #asked = 0;

  constructor(above: RuleSet | undefined, rules: readonly Rule[]) {
    this.#rules = ignore({ ignorecase: false });
    if (above !== undefined) this.#rules.add(above.#rules);
    this.#rules.add(rules);
    this.#isEmpty = rules.length === 0 && (above === undefined || above.#isEmpty);
    this.#matcher = this.#rules;
  }

  match(path: string): IgnoreMatch | undefined {
    if (this.#isEmpty) return undefined;
    if (++this.#asked > REMEMBERED_PATHS_MAX) {
      this.#matcher = ignore({ ignorecase: false }).add(this.#rules);
      this.#asked = 0;
    }
    const { ignored, rule } = this.#matcher.test(path);
    if (!ignored) return undefined;
    const [origin, pattern] = (rule?.mark ?? '\0').split('\0');
    return { pattern: pattern!, origin: origin! };
  }
}

function latin1(bytes: Uint8Array): string {
  return asBuffer(bytes).toString('latin1');
}

function linesOf(content: Uint8Array): string[] {
  const text = latin1(content);
  const withoutMark = text.startsWith('\xef\xbb\xbf') ? text.slice(3) : text;
  return withoutMark.split('\n').map((line) => (line.endsWith('\r') ? line.slice(0, -1) : line));
}

/**
 * A line of the ignore file of a folder as a rule from the root down, so that all rules are one list and the package's check of the folders above
 * sees every rule. No rule for blank lines and comments.
 */
function ruleOf(line: string, folder: string, origin: string): Rule[] {
  if (line === '' || line.startsWith('#')) return [];
  const isNegated = line.startsWith('!');
  const body = isNegated ? line.slice(1) : line;
  // Spaces at the end do not count, unless a backslash stands before them: then the line does not end in a slash either.
  const trimmed = body.replace(/(?<!\\) +$/, '');
  if (trimmed === '' || trimmed === '/') return [];
  const written = escapeName(Buffer.from(line, 'latin1')).replaceAll('\\x5c', '\\');
  const mark = `${origin}\0${written}`;
  if (folder === '') return [{ pattern: line, mark }];
  const isAnchored = trimmed.slice(0, -1).includes('/');
  const inside = isAnchored ? body.replace(/^\//, '') : `**/${body}`;
  return [{ pattern: `${isNegated ? '!' : ''}/${escapePattern(folder)}${inside}`, mark }];
}

/** A path as a pattern that matches it alone. */
function escapePattern(path: string): string {
  return path.replace(/[^A-Za-z0-9_/\x80-\xff]/g, '\\$&');
}
