/** Brings chunks of a path back from the bucket or from peers into the local packs. */

import { hash } from 'node:crypto';
import { Wanted } from '../browse/copy-router.ts';
import { resolvePath } from '../browse/resolve-path.ts';
import { fetchSealed } from '../browse/sealed-fetch.ts';
import { openTreeReader } from '../browse/tree-reader.ts';
import { walkTree } from '../browse/walk-tree.ts';
import { type EdgeError, isEdgeError, toEdgeError } from '../core/errors.ts';
import { failpoint } from '../core/failpoint.ts';
import { type ChunkId, ChunkKind, type HexId, toHex } from '../core/ids.ts';
import { MIB } from '../core/limits.ts';
import type { ChunkStore, SealedChunk } from '../core/ports/chunk-store.ts';
import type { ChunkIndex } from '../core/ports/index.ts';
import type { SnapshotBody } from '../log/record-body.ts';
import type { TierDeps } from './demote-types.ts';

export interface RecallPlan {
  readonly chunks: readonly RecallChunk[];
  /** Sealed bytes where the index knows them, else the plain length. */
  readonly bytes: number;
  /** Chunks of the path that are here already. */
  readonly present: number;
}

export interface RecallChunk {
  readonly id: ChunkId;
  readonly bytes: number;
}

export interface RecallReport {
  readonly chunks: number;
  readonly bytes: number;
  /** Chunks that no source could give; each error names one. */
  readonly failures: readonly EdgeError[];
}

export interface RecallDeps extends TierDeps {
  readonly chunks: Pick<ChunkStore, 'openWriter'>;
  readonly sessions: Pick<ChunkIndex, 'beginSession' | 'endSession'>;
}

/** Bytes asked for at a time: bounds what is in memory. */
const BATCH_BYTES = 32 * MIB;
const LOCATE_AT_ONCE = 1000;

/** The data chunks below a path of a snapshot that are not on the own disk. E_NOT_FOUND for no such path; E_INTEGRITY when a tree cannot be read. */
export async function planRecall(
  input: { readonly body: SnapshotBody; readonly path: Uint8Array },
  deps: TierDeps,
  signal?: AbortSignal,
): Promise<RecallPlan> {
  const reader = openTreeReader({ sources: deps.sources, opener: deps.opener, warn: deps.warn });
  const { entry } = await resolvePath(reader, input.body.entry, input.path, signal);
  const reached = new Map<HexId, RecallChunk>();
  const take = async (file: typeof entry): Promise<void> => {
    for await (const refs of reader.refs(file, signal)) {
      for (const { id, length } of refs) reached.set(toHex(id), { id, bytes: length });
    }
  };
  if (entry.type === 'file') await take(entry);
  if (entry.type === 'dir') {
    for await (const step of walkTree(reader, entry, { signal })) {
      if (step.step === 'broken') throw step.error;
      if (step.step === 'entry' && step.entry.type === 'file') await take(step.entry);
    }
  }
  const all = [...reached.values()];
  const chunks: RecallChunk[] = [];
  for (let from = 0; from < all.length; from += LOCATE_AT_ONCE) {
    const batch = all.slice(from, from + LOCATE_AT_ONCE);
    for (const [i, copies] of deps.index.chunks.locate(batch.map(({ id }) => id)).entries()) {
      const chunk = batch[i];
      if (chunk === undefined || copies.some((copy) => copy.store === '')) continue;
      chunks.push({ id: chunk.id, bytes: copies[0]?.sealedBytes ?? chunk.bytes });
    }
  }
  return { chunks, bytes: chunks.reduce((sum, { bytes }) => sum + bytes, 0), present: all.length - chunks.length };
}

/** Each chunk is opened before it is stored. Counts as a read, so that it does not go again at once. E_NO_SPACE below the floor. */
export async function applyRecall(plan: RecallPlan, deps: RecallDeps, signal?: AbortSignal): Promise<RecallReport> {
  const reader = openTreeReader({ sources: deps.sources, opener: deps.opener, warn: deps.warn });
  const failures: EdgeError[] = [];
  const done = { chunks: 0, bytes: 0 };
  const session = deps.sessions.beginSession('recall');
  const writer = deps.chunks.openWriter();
  try {
    for (const batch of batchesOf(plan.chunks)) {
      const fetched: SealedChunk[] = [];
      await fetchSealed(
        reader.chunks.router,
        batch.map(({ id }) => new Wanted(id)),
        {
          take(wanted, sealed) {
            const keyId = wanted.copy?.address.keyId ?? 0;
            try {
              deps.opener.open(ChunkKind.data, wanted.id, keyId, sealed);
            } catch (error) {
              if (isEdgeError(error, 'E_INTEGRITY', 'E_FORMAT')) return error.message;
              throw error;
            }
            const bytes = Uint8Array.from(sealed);
            fetched.push({
              id: wanted.id,
              packClass: 'data',
              keyId,
              bytes,
              sha256: hash('sha256', bytes, 'buffer'),
              identified: true,
            });
            return undefined;
          },
          missing(_wanted, error) {
            failures.push(error);
          },
        },
        signal,
      );
      for (const chunk of fetched) {
        await writer.add(chunk);
        done.bytes += chunk.bytes.length;
      }
      await writer.flush();
      failpoint('recall.flushed');
      deps.index.chunks.noteReads(
        fetched.map(({ id }) => id),
        deps.clock.nowNs(),
      );
      done.chunks += fetched.length;
      deps.progress?.({ phase: 'recall', bytesDone: done.bytes, bytesTotal: plan.bytes });
    }
    await writer.close();
  } catch (error) {
    await writer.abandon();
    throw toEdgeError(error, 'recall');
  } finally {
    deps.sessions.endSession(session);
  }
  return { ...done, failures };
}

function* batchesOf(chunks: readonly RecallChunk[]): Generator<RecallChunk[]> {
  let batch: RecallChunk[] = [];
  let bytes = 0;
  for (const chunk of chunks) {
    if (batch.length > 0 && (bytes + chunk.bytes > BATCH_BYTES || batch.length >= LOCATE_AT_ONCE)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(chunk);
    bytes += chunk.bytes;
  }
  if (batch.length > 0) yield batch;
}
