/** Reads verified plaintext of chunks by id, from the cheapest good copy. */
import type { Opener } from '../codec/open.ts';
import { type EdgeError, isEdgeError } from '../core/errors.ts';
import type { ChunkId, ChunkKind, HexId } from '../core/ids.ts';
import type { ReportWarning } from '../core/ports/progress.ts';
import type { SealedSource, SourceKind } from '../core/ports/sealed-source.ts';
import { type BadCopy, type CopyRouter, createCopyRouter, Wanted } from './copy-router.ts';
import { fetchSealed } from './sealed-fetch.ts';

export interface ChunkReaderDeps {
  /** In order of cost. */
  readonly sources: readonly SealedSource[];
  readonly opener: Opener;
  /** A source that could not be asked, said once per cause. */
  readonly warn: ReportWarning;
  /** A copy that was missing or did not verify. */
  readonly onBadCopy?: ((bad: BadCopy) => void) | undefined;
}

export interface ChunkReader {
  /**
   * Plaintexts, or the reason why there is none, at the positions of `ids`. All are in memory at once: callers bound the number. Only an
   * abort throws, and a local pack of a later format (E_NEWER_FORMAT).
   */
  readEach(kind: ChunkKind, ids: readonly ChunkId[], signal?: AbortSignal): Promise<(Uint8Array | EdgeError)[]>;
  /** As `readEach`; throws the first error. */
  readAll(kind: ChunkKind, ids: readonly ChunkId[], signal?: AbortSignal): Promise<Uint8Array[]>;
  /** One chunk; E_INTEGRITY when no source has a good copy, E_STORE (or its own code) when one could not be asked. */
  read(kind: ChunkKind, id: ChunkId, signal?: AbortSignal): Promise<Uint8Array>;
  /** The sealed bytes of a copy that opened as one of the kinds (`keyId` is the copy's), for repair. */
  readSealed(
    kinds: readonly ChunkKind[],
    id: ChunkId,
    signal?: AbortSignal,
  ): Promise<{ readonly sealed: Uint8Array; readonly keyId: number }>;
  /** Sealed bytes read so far, by kind of source. */
  readonly bytesFrom: Readonly<Record<SourceKind, number>>;
  /** What chooses the copies; a restore that lets workers read shares it. */
  readonly router: CopyRouter;
}

export function createChunkReader(deps: ChunkReaderDeps): ChunkReader {
  const router = createCopyRouter(deps);
  const bytesFrom: Record<SourceKind, number> = { local: 0, peers: 0, s3: 0 };

  /** What is wrong with a sealed chunk, or its plaintext. */
  function open(kind: ChunkKind, wanted: Wanted, sealed: Uint8Array): Uint8Array | string {
    const { source, address } = wanted.copy!;
    try {
      const plain = deps.opener.open(kind, wanted.id, address.keyId, sealed);
      bytesFrom[source.kind] += sealed.length;
      return plain;
    } catch (error) {
      if (isEdgeError(error, 'E_INTEGRITY', 'E_FORMAT')) return error.message;
      throw error;
    }
  }

  /** A copy is damaged only when it opens as none of the kinds that it may be. */
  function openAs(kinds: readonly ChunkKind[], wanted: Wanted, sealed: Uint8Array): Uint8Array | string {
    let problem = 'no kind was given';
    for (const kind of kinds) {
      const plain = open(kind, wanted, sealed);
      if (typeof plain !== 'string') return plain;
      problem = plain;
    }
    return problem;
  }

  async function readEach(
    kind: ChunkKind,
    ids: readonly ChunkId[],
    signal?: AbortSignal,
  ): Promise<(Uint8Array | EdgeError)[]> {
    const wanted = new Map<HexId, Wanted>();
    const order = ids.map((id) => {
      const one = new Wanted(id);
      if (!wanted.has(one.hex)) wanted.set(one.hex, one);
      return one.hex;
    });
    const results = new Map<HexId, Uint8Array | EdgeError>();
    await fetchSealed(
      router,
      [...wanted.values()],
      {
        take(one, sealed) {
          const plain = open(kind, one, sealed);
          if (typeof plain === 'string') return plain;
          results.set(one.hex, plain);
          return undefined;
        },
        missing(one, error) {
          results.set(one.hex, error);
        },
      },
      signal,
    );
    return order.map((hex) => results.get(hex)!);
  }

  async function readAll(kind: ChunkKind, ids: readonly ChunkId[], signal?: AbortSignal): Promise<Uint8Array[]> {
    const results = await readEach(kind, ids, signal);
    return results.map((result) => {
      if (result instanceof Uint8Array) return result;
      throw result;
    });
  }

  async function readSealed(
    kinds: readonly ChunkKind[],
    id: ChunkId,
    signal?: AbortSignal,
  ): Promise<{ sealed: Uint8Array; keyId: number }> {
    let found: { sealed: Uint8Array; keyId: number } | undefined;
    let error: EdgeError | undefined;
    await fetchSealed(
      router,
      [new Wanted(id)],
      {
        take(one, sealed) {
          const plain = openAs(kinds, one, sealed);
          if (typeof plain === 'string') return plain;
          found = { sealed: Uint8Array.from(sealed), keyId: one.copy!.address.keyId };
          return undefined;
        },
        missing(_one, why) {
          error = why;
        },
      },
      signal,
    );
    if (found === undefined) throw error!;
    return found;
  }

  return {
    readEach,
    readAll,
    read: async (kind, id, signal) => (await readAll(kind, [id], signal))[0]!,
    readSealed,
    bytesFrom,
    router,
  };
}
