/**
 * Reading the trees of snapshots: pages, list chunks, names. What a page says is checked here once more before anyone acts on it, because a
 * restore that trusts a name writes where the name says.
 */
import { bytesEqual } from '../core/bytes.ts';
import { type EdgeError, formatError, isEdgeError } from '../core/errors.ts';
import { type ChunkId, ChunkKind } from '../core/ids.ts';
import { decodeList } from '../tree/content-list.ts';
import { decodePage } from '../tree/decode-page.ts';
import type { Content, ContentRef, Entry } from '../tree/entry.ts';
import { type ChunkReader, type ChunkReaderDeps, createChunkReader } from './chunk-reader.ts';
import { checkName, compareNames } from './entry-name.ts';

export interface TreeReader {
  readonly chunks: ChunkReader;
  /** Decoded pages, or why there is none, at the positions of `ids`. Callers bound the number. */
  pages(ids: readonly ChunkId[], signal?: AbortSignal): Promise<(readonly Entry[] | EdgeError)[]>;
  /** The entry of that name in a folder; undefined when there is none. */
  child(folder: Entry, name: Uint8Array, signal?: AbortSignal): Promise<Entry | undefined>;
  /** A file's content references in order, a list chunk at a time. Throws when a list is lost, or when the lengths do not add up. */
  refs(entry: Entry, signal?: AbortSignal): AsyncGenerator<readonly ContentRef[]>;
}

export function openTreeReader(deps: ChunkReaderDeps): TreeReader {
  const chunks = createChunkReader(deps);

  async function pages(ids: readonly ChunkId[], signal?: AbortSignal): Promise<(readonly Entry[] | EdgeError)[]> {
    const plains = await chunks.readEach(ChunkKind.tree, ids, signal);
    return plains.map((plain) => {
      if (!(plain instanceof Uint8Array)) return plain;
      try {
        return checkedPage(plain);
      } catch (error) {
        if (isEdgeError(error)) return error;
        throw error;
      }
    });
  }

  async function page(id: ChunkId, signal?: AbortSignal): Promise<readonly Entry[]> {
    const [entries] = await pages([id], signal);
    if (entries === undefined || !Array.isArray(entries)) throw entries;
    return entries;
  }

  /** Names are in order across the pages, so a folder of a million entries costs a few reads. */
  async function child(folder: Entry, name: Uint8Array, signal?: AbortSignal): Promise<Entry | undefined> {
    const ids = folder.pages ?? [];
    let low = 0;
    let high = ids.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const entries = await page(ids[middle]!, signal);
      const found = entries.find((entry) => bytesEqual(entry.name, name));
      if (found !== undefined) return found;
      const first = entries[0];
      if (first === undefined) throw formatError('tree page', 'it is empty');
      if (compareNames(name, first.name) < 0) high = middle - 1;
      else low = middle + 1;
    }
    return undefined;
  }

  async function* refs(entry: Entry, signal?: AbortSignal): AsyncGenerator<readonly ContentRef[]> {
    const content = entry.content;
    if (content === undefined) return;
    const wanted = contentBytes(entry);
    let seen = 0;
    for await (const part of refsOf(content, signal)) {
      for (const ref of part) seen += ref.length;
      if (seen > wanted) break;
      yield part;
    }
    if (seen !== wanted) {
      throw formatError('file entry', `its chunks hold ${seen} bytes where its size and holes leave ${wanted}`);
    }
  }

  async function* refsOf(content: Content, signal?: AbortSignal): AsyncGenerator<readonly ContentRef[]> {
    if (content.form === 'inline') {
      if (content.refs.length > 0) yield content.refs;
      return;
    }
    for (const list of content.lists) yield decodeList(await chunks.read(ChunkKind.list, list.id, signal));
  }

  return { chunks, pages, child, refs };
}

/** Bytes of a file outside its holes. */
export function contentBytes(entry: Entry): number {
  let bytes = entry.size ?? 0;
  for (const hole of entry.holes ?? []) bytes -= hole.length;
  return bytes;
}

function checkedPage(plain: Uint8Array): readonly Entry[] {
  const entries = decodePage(plain);
  let last: Uint8Array | undefined;
  for (const entry of entries) {
    checkName(entry.name);
    if (last !== undefined && compareNames(last, entry.name) >= 0)
      throw formatError('tree page', 'its names are not in order');
    last = entry.name;
  }
  return entries;
}
