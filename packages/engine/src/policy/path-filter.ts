import ignore, { type Ignore } from 'ignore';
import { asBuffer } from '../core/bytes.ts';

/**
 * `take`: restore it, and of a folder all that is not excluded. `look`: a folder that was not asked for but may hold what was. `skip`: neither it nor
 * anything below it.
 */
export type FilterAnswer = 'take' | 'look' | 'skip';

/** Asked top-down with paths below the start, without a leading slash. */
export type PathFilter = (path: Uint8Array, isFolder: boolean) => FilterAnswer;

/** The package remembers every path that it was asked about; after so many it is given a new memory. */
const REMEMBERED_PATHS_MAX = 10_000;

/**
 * The `--include` and `--exclude` of a restore: patterns in gitignore syntax, bytes as `\xNN`. Without includes everything is taken; what is both
 * included and excluded is skipped.
 */
export function createPathFilter(include: readonly string[], exclude: readonly string[]): PathFilter {
  const isIncluded = include.length === 0 ? () => true : matcherOf(include);
  const isExcluded = exclude.length === 0 ? () => false : matcherOf(exclude);
  return (path, isFolder) => {
    const text = `${asBuffer(path).toString('latin1')}${isFolder ? '/' : ''}`;
    if (isExcluded(text)) return 'skip';
    if (isIncluded(text)) return 'take';
    return isFolder ? 'look' : 'skip';
  };
}

/** Matches what a pattern names and all that lies below it. */
function matcherOf(patterns: readonly string[]): (path: string) => boolean {
  const rules = ignore({ ignorecase: false }).add(patterns.map(patternOf).map((pattern) => ({ pattern })));
  let matcher: Ignore = rules;
  let asked = 0;
  return (path) => {
    if (++asked > REMEMBERED_PATHS_MAX) {
      matcher = ignore({ ignorecase: false }).add(rules);
      asked = 0;
    }
    return matcher.ignores(path);
  };
}

/** Latin-1 of the UTF-8, one character a byte; `\xNN` becomes that byte, taken literally. */
function patternOf(text: string): string {
  const latin1 = Buffer.from(text, 'utf8').toString('latin1');
  const bytes = latin1.replace(
    /\\x([0-9a-fA-F]{2})/g,
    (_, hex: string) => `\\${String.fromCharCode(Number.parseInt(hex, 16))}`,
  );
  // A path copied from a listing may begin with a slash or `./`; both mean the top.
  return bytes.replace(/^(!?)\.\//, '$1/');
}
