/** `cat --tar`: a subtree as a tar stream, in the pax format. */
import { toHex } from '../core/ids.ts';
import type { Entry } from '../tree/entry.ts';
import { catFile } from './cat-file.ts';
import { brokenListing } from './list-tree.ts';
import { padding, TAR_BLOCK_BYTES, tarHeader } from './tar-header.ts';
import type { TreeReader } from './tree-reader.ts';
import { walkTree } from './walk-tree.ts';

/**
 * Yields the archive's bytes in order. Members are named below `entry` (a single file by its own name). What cannot be read throws: a tar
 * cannot say in the middle that a member is not whole, so the stream ends without its end mark.
 */
export async function* catTar(reader: TreeReader, entry: Entry, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  const firstNames = new Map<string, Uint8Array>();
  if (entry.type !== 'dir') {
    yield* member(reader, entry.name.length === 0 ? Buffer.from('file') : entry.name, entry, firstNames, signal);
  } else {
    for await (const step of walkTree(reader, entry, { signal })) {
      if (step.step === 'broken') throw brokenListing(step.path, step.error);
      if (step.step === 'entry') yield* member(reader, step.path, step.entry, firstNames, signal);
    }
  }
  yield new Uint8Array(2 * TAR_BLOCK_BYTES);
}

async function* member(
  reader: TreeReader,
  path: Uint8Array,
  entry: Entry,
  firstNames: Map<string, Uint8Array>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  const key = entry.hardLink === undefined ? undefined : toHex(entry.hardLink);
  const linkTo = key === undefined ? undefined : firstNames.get(key);
  yield tarHeader(path, entry, linkTo);
  if (linkTo !== undefined) return;
  if (key !== undefined) firstNames.set(key, path);
  if (entry.type !== 'file') return;
  yield* catFile(reader, entry, signal);
  const rest = padding(entry.size ?? 0);
  if (rest.length > 0) yield rest;
}
