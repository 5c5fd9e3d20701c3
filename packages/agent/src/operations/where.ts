/** `where`: which stores have the chunks of a file, a folder or a snapshot's path; or one chunk. */

import {
  EdgeError,
  type Entry,
  formatTimeNs,
  fromHex,
  isEdgeError,
  jsonPath,
  openTreeReader,
  resolvePath,
  type SnapshotRow,
  storeOfTarget,
  toHex,
  whereIs,
} from '@edgestore/engine';
import { z } from 'zod';
import { locate } from './locate-path.ts';
import { type Opened, openedOf } from './opened.ts';
import { defineOperation, type OperationContext } from './operation.ts';
import { readerDeps } from './reader-deps.ts';
import { snapshotFlags } from './snapshot-spec.ts';

export interface WherePlace {
  readonly agent: string;
  readonly site: string | null;
  /** `local`, `bucket <store>`, or `replica` for what another agent holds. */
  readonly tier: string;
  readonly chunks: number;
  /** Sealed bytes; only of this agent's own copies. */
  readonly bytes: number | null;
  readonly complete: boolean;
  /** Always null: no time of verification is kept a chunk. A tier run re-verifies before it drops anything. */
  readonly last_verified: null;
  /**
   * When it was asked last what it has; null for own stores that nothing is replicated to, which are known from the
   * index.
   */
  readonly asked: string | null;
}

export interface WhereData {
  readonly path?: string;
  readonly path_b64?: string;
  readonly snapshot?: string;
  /** The snapshot has lost chunks that no store has: it is whole nowhere. */
  readonly damaged?: boolean;
  readonly chunk?: string;
  /** Distinct chunks. */
  readonly chunks: number;
  /** Of those, in no place that is known. */
  readonly unplaced: number;
  readonly copies: readonly WherePlace[];
}

const input = z.object({ what: z.string(), cwd: z.string(), ...snapshotFlags });

export const where = defineOperation<z.output<typeof input>, WhereData>({
  name: 'where',
  input,
  mutates: false,
  run: async (given, context) => {
    const opened = openedOf(context);
    const chunk = findChunk(given, opened);
    if (chunk !== undefined) return { data: whereChunk(chunk, opened) };
    try {
      const { row, path } = locate(given, opened);
      return { data: await wherePath(row, path, opened, context) };
    } catch (error) {
      throw asPartOfChunkId(given.what, error);
    }
  },
});

/** What looks like the beginning of a chunk id is taken for a path, since chunks are not looked up by a part of their id. */
function asPartOfChunkId(what: string, error: unknown): unknown {
  if (!isEdgeError(error, 'E_NOT_FOUND') || !/^[0-9a-f]{4,63}$/i.test(what)) return error;
  return new EdgeError(error.code, error.message, {
    hint: 'A chunk is named by all 64 digits of its id; what lies in a snapshot is written SNAPSHOT:PATH.',
    cause: error,
  });
}

async function wherePath(
  row: SnapshotRow,
  path: Uint8Array,
  opened: Opened,
  context: OperationContext,
): Promise<WhereData> {
  const reader = openTreeReader(readerDeps(opened, context));
  const resolvedPath = await resolvePath(reader, row.body.entry, path, context.signal);
  const { engine, replicator } = opened;
  const deps = { chunks: engine.index.chunks, placed: replicator.placed };
  const report = await whereIs(reader, resolvedPath.entry as Entry, deps, context.signal);
  return {
    ...jsonPath(resolvedPath.path),
    snapshot: row.id,
    damaged: row.damaged,
    chunks: report.chunks,
    unplaced: report.unplaced,
    copies: report.copies.map((copy) => ({
      ...placeOf(copy, opened),
      chunks: copy.chunks,
      bytes: copy.store === undefined ? null : copy.bytes,
      complete: copy.complete,
      last_verified: null,
      asked: copy.askedNs === undefined ? null : formatTimeNs(copy.askedNs),
    })),
  };
}

/** Undefined when what was typed is no chunk id of this store. */
function findChunk({ what }: z.output<typeof input>, { engine, replicator }: Opened): Uint8Array | undefined {
  if (!/^[0-9a-f]{64}$/i.test(what)) return undefined;
  const id = fromHex(what, 32);
  const known = engine.index.chunks.locate([id])[0]!.length + replicator.placed.targetsOf([id])[0]!.length;
  if (known === 0) throw new EdgeError('E_NOT_FOUND', `no copy of chunk ${what.slice(0, 8)} is known`);
  return id;
}

function whereChunk(id: Uint8Array, opened: Opened): WhereData {
  const { index } = opened.engine;
  const targets = opened.replicator.placed.targetsOf([id])[0]!;
  const stores = new Map(index.chunks.locate([id])[0]!.map((location) => [location.store, location]));
  const own = [...stores.values()].map((location) => {
    const asked = targets.find(({ target }) => storeOfTarget(target) === location.store)?.askedNs;
    return {
      ...placeOf({ store: location.store }, opened),
      chunks: 1,
      bytes: location.sealedBytes,
      complete: true,
      last_verified: null,
      asked: asked === undefined ? null : formatTimeNs(asked),
    };
  });
  const others = targets.filter(({ target }) => !stores.has(storeOfTarget(target) ?? target));
  const placed = others.map(({ target, askedNs }) => ({
    ...placeOf({ target }, opened),
    chunks: 1,
    bytes: null,
    complete: true,
    last_verified: null,
    asked: formatTimeNs(askedNs),
  }));
  return { chunk: toHex(id), chunks: 1, unplaced: 0, copies: [...own, ...placed] };
}

function placeOf(
  { store, target }: { readonly store?: string; readonly target?: string },
  { engine, members, nameOf }: Opened,
): Pick<WherePlace, 'agent' | 'site' | 'tier'> {
  const bucket = store === '' ? undefined : (store ?? storeOfTarget(target ?? ''));
  if (bucket !== undefined) return { agent: engine.identity.name, site: null, tier: `bucket ${bucket}` };
  if (target === undefined) return { agent: engine.identity.name, site: engine.identity.site, tier: 'local' };
  return {
    agent: nameOf(target) ?? target,
    site: members.find((member) => member.agent === target)?.site ?? null,
    tier: 'replica',
  };
}
