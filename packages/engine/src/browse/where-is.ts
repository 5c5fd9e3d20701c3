/** `where`: which stores have the chunks of a path, by what the index knows of own packs and by what targets stated last. */
import { ChunkIdSet } from '../core/chunk-id-set.ts';
import type { ChunkId } from '../core/ids.ts';
import type { ChunkIndex, StoreName, TargetId } from '../core/ports/index.ts';
import type { Placed } from '../ports/placed.ts';
import type { Entry } from '../tree/entry.ts';
import type { TreeReader } from './tree-reader.ts';
import { walkTree } from './walk-tree.ts';

export interface WhereDeps {
  readonly chunks: Pick<ChunkIndex, 'locate'>;
  readonly placed: Pick<Placed, 'targetsOf'>;
}

export interface WhereReport {
  /** Distinct chunks that the path reaches: trees, lists and content. */
  readonly chunks: number;
  /** Of those, found in no place that this agent knows of. */
  readonly unplaced: number;
  readonly copies: readonly WhereCopy[];
}

export interface WhereCopy {
  /** `''` is this agent's disk; otherwise one of its stores. Absent when the copy is with a target. */
  readonly store?: StoreName;
  /** An agent that is believed to have it. */
  readonly target?: TargetId;
  readonly chunks: number;
  /** Sealed bytes; only of own copies. */
  readonly bytes: number;
  /** All chunks of the path are there. */
  readonly complete: boolean;
  /** When it was asked last, as a target; undefined for an own store that is none. */
  readonly askedNs: bigint | undefined;
}

const LOOKUPS_AT_ONCE = 1024;

/** The bucket that a replication target is; undefined for an agent. */
export function storeOfTarget(target: TargetId): StoreName | undefined {
  return /^store(?:-meta)?:(.*)$/.exec(target)?.[1];
}

/** Copies of everything that `entry` reaches. Throws when the tree below it cannot be read. */
export async function whereIs(
  reader: TreeReader,
  entry: Entry,
  deps: WhereDeps,
  signal?: AbortSignal,
): Promise<WhereReport> {
  const seen = new ChunkIdSet();
  const waiting: ChunkId[] = [];
  const copies = new Map<
    string,
    { store?: string; target?: string; chunks: number; bytes: number; askedNs: bigint | undefined }
  >();
  let unplaced = 0;

  const note = (key: { store: string } | { target: string }, bytes: number, askedNs: bigint | undefined) => {
    const name = JSON.stringify(key);
    const copy = copies.get(name) ?? { ...key, chunks: 0, bytes: 0, askedNs };
    copy.chunks++;
    copy.bytes += bytes;
    copies.set(name, copy);
  };
  const noteAsked = (key: { store: string }, askedNs: bigint) => {
    const copy = copies.get(JSON.stringify(key));
    if (copy !== undefined && askedNs > (copy.askedNs ?? 0n)) copy.askedNs = askedNs;
  };
  const lookUp = () => {
    const ids = waiting.splice(0);
    const targets = deps.placed.targetsOf(ids);
    for (const [i, locations] of deps.chunks.locate(ids).entries()) {
      const placed = targets[i]!;
      if (locations.length + placed.length === 0) unplaced++;
      const stores = new Map(locations.map((location) => [location.store, location]));
      for (const [store, { sealedBytes }] of stores) note({ store }, sealedBytes, undefined);
      for (const { target, askedNs } of placed) {
        const store = storeOfTarget(target);
        if (store === undefined) note({ target }, 0, askedNs);
        // A bucket that is a target is one place: what the index has there is what its last pass listed.
        else if (stores.has(store)) noteAsked({ store }, askedNs);
        else note({ store }, 0, askedNs);
      }
    }
  };
  for await (const id of reachedChunks(reader, entry, signal)) {
    if (!seen.add(id)) continue;
    waiting.push(id);
    if (waiting.length >= LOOKUPS_AT_ONCE) lookUp();
  }
  lookUp();
  return {
    chunks: seen.size,
    unplaced,
    copies: [...copies.values()].map((copy) => ({ ...copy, complete: copy.chunks === seen.size })),
  };
}

/** Every chunk id that an entry reaches, with repeats: pages, lists, content. Throws when a page or list cannot be read. */
export async function* reachedChunks(reader: TreeReader, entry: Entry, signal?: AbortSignal): AsyncGenerator<ChunkId> {
  yield* ownChunks(reader, entry, signal);
  if (entry.type !== 'dir') return;
  for await (const step of walkTree(reader, entry, { signal })) {
    if (step.step === 'broken') throw step.error;
    if (step.step === 'entry') yield* ownChunks(reader, step.entry, signal);
  }
}

async function* ownChunks(reader: TreeReader, entry: Entry, signal: AbortSignal | undefined): AsyncGenerator<ChunkId> {
  for (const page of entry.pages ?? []) yield page;
  if (entry.content?.form === 'lists') for (const list of entry.content.lists) yield list.id;
  for await (const refs of reader.refs(entry, signal)) for (const ref of refs) yield ref.id;
}
