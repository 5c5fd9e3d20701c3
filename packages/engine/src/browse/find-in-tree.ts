/** `find`: the entries of a snapshot whose path matches a pattern. */
import { compileGlob } from '../policy/glob.ts';
import type { Entry } from '../tree/entry.ts';
import { brokenListing, type ListedEntry } from './list-tree.ts';
import type { TreeReader } from './tree-reader.ts';
import { walkTree } from './walk-tree.ts';

/**
 * A pattern without a slash matches names at any depth, one with a slash whole paths from the top (`policy/glob.ts`). E_USAGE for a pattern that
 * is none. As with `listTree`, a gap in a listing is thrown after all the rest was handed out.
 */
export async function* findInTree(
  reader: TreeReader,
  root: Entry,
  pattern: string,
  signal?: AbortSignal,
): AsyncGenerator<ListedEntry> {
  const matches = compileGlob(pattern);
  let broken: Error | undefined;
  for await (const step of walkTree(reader, root, { signal })) {
    if (step.step === 'entry' && matches(step.path)) yield { path: step.path, entry: step.entry };
    else if (step.step === 'broken') broken ??= brokenListing(step.path, step.error);
  }
  if (broken !== undefined) throw broken;
}
