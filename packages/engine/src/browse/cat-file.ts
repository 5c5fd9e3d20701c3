/** `cat`: a file's bytes as they were captured, holes as zeros, a few chunks at a time. */
import { EdgeError } from '../core/errors.ts';
import { ChunkKind } from '../core/ids.ts';
import { escapeName } from '../policy/escape-name.ts';
import type { ContentRef, Entry } from '../tree/entry.ts';
import type { TreeReader } from './tree-reader.ts';

/** Plaintext read ahead at once. */
const READ_BYTES = 8 * 1024 * 1024;
const ZEROS_BYTES = 64 * 1024;

/**
 * Yields verified plaintext in order; a yielded array is the receiver's until the next one is asked for. E_USAGE for what is no file. A chunk that no source has
 * throws after all bytes before it were handed out.
 */
export async function* catFile(reader: TreeReader, entry: Entry, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  if (entry.type !== 'file') {
    throw new EdgeError('E_USAGE', `${escapeName(entry.name)} is a ${entry.type}, not a file`, {
      hint: 'Use --tar for folders.',
    });
  }
  const holes = [...(entry.holes ?? [])];
  let at = 0;
  for await (const plain of plainsOf(reader, entry, signal)) {
    for (let from = 0; from < plain.length; ) {
      const hole = holes[0];
      if (hole !== undefined && hole.offset === at) {
        yield* zeros(hole.length);
        at += hole.length;
        holes.shift();
        continue;
      }
      const end = Math.min(plain.length, from + (hole === undefined ? Number.POSITIVE_INFINITY : hole.offset - at));
      yield plain.subarray(from, end);
      at += end - from;
      from = end;
    }
  }
  for (const hole of holes) yield* zeros(hole.length);
}

/** The chunks' plaintexts in order, some read at once, the next ones while the receiver is busy. */
async function* plainsOf(
  reader: TreeReader,
  entry: Entry,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  let ahead: Promise<Uint8Array[]> | undefined;
  try {
    for await (const group of groupsOf(reader, entry, signal)) {
      const next = reader.chunks.readAll(
        ChunkKind.data,
        group.map((ref) => ref.id),
        signal,
      );
      // Awaited below; until then a failure must not count as unhandled.
      next.catch(() => undefined);
      if (ahead !== undefined) yield* await ahead;
      ahead = next;
    }
    if (ahead !== undefined) yield* await ahead;
  } finally {
    await ahead?.catch(() => undefined);
  }
}

async function* groupsOf(
  reader: TreeReader,
  entry: Entry,
  signal: AbortSignal | undefined,
): AsyncGenerator<ContentRef[]> {
  let group: ContentRef[] = [];
  let bytes = 0;
  for await (const refs of reader.refs(entry, signal)) {
    for (const ref of refs) {
      if (group.length > 0 && bytes + ref.length > READ_BYTES) {
        yield group;
        group = [];
        bytes = 0;
      }
      group.push(ref);
      bytes += ref.length;
    }
  }
  if (group.length > 0) yield group;
}

function* zeros(length: number): Generator<Uint8Array> {
  const block = new Uint8Array(Math.min(length, ZEROS_BYTES));
  for (let left = length; left > 0; left -= block.length) yield block.subarray(0, Math.min(left, block.length));
}
