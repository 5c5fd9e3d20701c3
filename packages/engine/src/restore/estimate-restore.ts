/** Counts what a restore will read and write: bytes by source, and ranges asked for. Writes nothing. */
import { Wanted } from '../browse/copy-router.ts';
import { contentBytes, openTreeReader, type TreeReader } from '../browse/tree-reader.ts';
import { ChunkIdSet } from '../core/chunk-id-set.ts';
import { isEdgeError } from '../core/errors.ts';
import type { SealedSource, SourceKind } from '../core/ports/sealed-source.ts';
import { chosenSources } from './restore-run.ts';
import type { RestoreDeps, RestoreEstimate, RestorePlan } from './restore-types.ts';
import { cutWindows, itemPath, type WindowItem, windowOfOne } from './windows.ts';

/** Neighbours within this gap are one request, as the sources read them. */
const GAP_BYTES_MAX = 64 * 1024;
const MISSING_FILES_LISTED = 100;
const LOOKUPS_AT_ONCE = 4096;

export async function estimateRestore(plan: RestorePlan, deps: RestoreDeps): Promise<RestoreEstimate> {
  const { opener, warn, signal } = deps;
  const reader = openTreeReader({ sources: chosenSources(deps.sources, plan.input.from), opener, warn });
  const tally = createTally();
  let entries = 0;
  let files = 0;
  let bytes = 0;
  const seen = new ChunkIdSet();
  for await (const window of windowsOf(plan, reader, signal)) {
    const items = [...window.smallFiles, ...window.largeFiles, ...window.others, ...window.links];
    entries += items.length + window.folders.length;
    files += items.length;
    for (const item of [...window.smallFiles, ...window.largeFiles]) {
      bytes += contentBytes(item.entry);
      await tally.add(reader, item, seen, signal);
    }
    await tally.lookUp(reader, signal);
  }
  return { entries, files, bytes, ...tally.finish() };
}

function windowsOf(plan: RestorePlan, reader: TreeReader, signal: AbortSignal | undefined) {
  if (plan.single !== undefined) return [windowOfOne(plan.single)];
  return cutWindows(reader, plan.top, { filter: plan.filter, withNames: false, signal });
}

interface Tally {
  add(reader: TreeReader, item: WindowItem, seen: ChunkIdSet, signal: AbortSignal | undefined): Promise<void>;
  lookUp(reader: TreeReader, signal: AbortSignal | undefined): Promise<void>;
  finish(): Omit<RestoreEstimate, 'entries' | 'files' | 'bytes'>;
}

function createTally(): Tally {
  const bytesFrom: Record<SourceKind, number> = { local: 0, peers: 0, s3: 0 };
  const requests: Record<SourceKind, number> = { local: 0, peers: 0, s3: 0 };
  const missingFiles: Uint8Array[] = [];
  let missingChunks = 0;
  let waiting: { readonly id: Uint8Array; readonly path: Uint8Array }[] = [];

  async function lookUp(reader: TreeReader, signal: AbortSignal | undefined): Promise<void> {
    const batch = waiting;
    waiting = [];
    const wanted = batch.map(({ id }) => new Wanted(id));
    await reader.chunks.router.choose(wanted, signal);
    const found: { source: SealedSource; pack: string; offset: number; bytes: number }[] = [];
    for (const [i, one] of wanted.entries()) {
      if (one.copy === undefined) {
        missingChunks++;
        noteMissing(batch[i]!.path);
        continue;
      }
      const { source, address } = one.copy;
      bytesFrom[source.kind] += address.sealedBytes;
      found.push({ source, pack: address.pack ?? '', offset: address.offset ?? 0, bytes: address.sealedBytes });
    }
    countRanges(found, requests);
  }

  function noteMissing(path: Uint8Array): void {
    if (missingFiles.length < MISSING_FILES_LISTED && missingFiles.at(-1) !== path) missingFiles.push(path);
  }

  return {
    async add(reader, item, seen, signal) {
      const path = itemPath(item);
      try {
        for await (const refs of reader.refs(item.entry, signal)) {
          for (const ref of refs) {
            if (!seen.add(ref.id)) continue;
            waiting.push({ id: ref.id, path });
            if (waiting.length >= LOOKUPS_AT_ONCE) await lookUp(reader, signal);
          }
        }
      } catch (error) {
        signal?.throwIfAborted();
        if (!isEdgeError(error)) throw error;
        missingChunks++;
        noteMissing(path);
      }
    },
    lookUp,
    finish: () => ({ bytesFrom, requests, missingChunks, missingFiles }),
  };
}

function countRanges(
  found: { source: SealedSource; pack: string; offset: number; bytes: number }[],
  requests: Record<SourceKind, number>,
): void {
  found.sort((a, b) =>
    a.source !== b.source
      ? a.source.label < b.source.label
        ? -1
        : 1
      : a.pack < b.pack
        ? -1
        : a.pack > b.pack
          ? 1
          : a.offset - b.offset,
  );
  let last: (typeof found)[number] | undefined;
  for (const one of found) {
    const joins = last !== undefined && last.source === one.source && last.pack === one.pack;
    // A peer is asked by id, many at a time: one request for what is looked up together.
    if (!joins || (one.pack !== '' && one.offset > last!.offset + last!.bytes + GAP_BYTES_MAX))
      requests[one.source.kind]++;
    last = one;
  }
}
