/** `ls`: the entries of a folder in a snapshot, or the entry itself when it is no folder. */
import { EdgeError } from '../core/errors.ts';
import { escapeName } from '../policy/escape-name.ts';
import type { Entry } from '../tree/entry.ts';
import { resolvePath } from './resolve-path.ts';
import type { TreeReader } from './tree-reader.ts';
import { walkTree } from './walk-tree.ts';

export interface ListedEntry {
  /** From the snapshot's top. */
  readonly path: Uint8Array;
  readonly entry: Entry;
}

export interface ListOptions {
  /** Also what is below the folders in it. */
  readonly recursive?: boolean;
  readonly signal?: AbortSignal;
}

/**
 * Yields in the order of name bytes, folders before what is in them. E_NOT_FOUND for a path that is not there. A part of the listing that cannot
 * be read is thrown after all the rest was handed out.
 */
export async function* listTree(
  reader: TreeReader,
  root: Entry,
  path: Uint8Array,
  options: ListOptions = {},
): AsyncGenerator<ListedEntry> {
  const { signal } = options;
  const start = await resolvePath(reader, root, path, signal);
  if (start.entry.type !== 'dir') {
    yield start;
    return;
  }
  let broken: EdgeError | undefined;
  const enter = () => options.recursive === true;
  for await (const step of walkTree(reader, start.entry, { base: start.path, enter, signal })) {
    if (step.step === 'entry') yield { path: step.path, entry: step.entry };
    else if (step.step === 'broken') broken ??= brokenListing(step.path, step.error);
  }
  if (broken !== undefined) throw broken;
}

/** The error that ends a listing with a gap. */
export function brokenListing(path: Uint8Array, cause: EdgeError): EdgeError {
  const where = path.length === 0 ? 'the snapshot' : escapeName(path);
  return new EdgeError(cause.code, `a part of the listing of ${where} is lost: ${cause.message}`, {
    ...(cause.hint === undefined ? {} : { hint: cause.hint }),
    cause,
  });
}
