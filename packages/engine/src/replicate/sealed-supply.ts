/** Sealed chunks to hand on: what a hold batch says of each, and then their bytes, from the own disk or wherever else a copy is. */
import { createHash } from 'node:crypto';
import { bytesEqual } from '../core/bytes.ts';
import { EdgeError, toEdgeError } from '../core/errors.ts';
import { type ChunkId, ChunkKind, type HexId, type PackClass, packClassOf, toHex } from '../core/ids.ts';
import type { ChunkIndex } from '../core/ports/index.ts';
import type { SealedAddress, SealedSource } from '../core/ports/sealed-source.ts';
import type { WantedChunk } from './reachable-chunks.ts';

export interface SuppliedChunk {
  readonly id: ChunkId;
  readonly kind: ChunkKind;
  readonly packClass: PackClass;
  readonly keyId: number;
  readonly sealedBytes: number;
  readonly sealedSha256: Uint8Array;
  /** This agent opened the copy and found the id right. */
  readonly identified: boolean;
}

export interface SupplyDeps {
  readonly index: Pick<ChunkIndex, 'locate'>;
  /** Own disk first. */
  readonly sources: readonly SealedSource[];
}

/** What is known of each wanted chunk; from the index, or by reading a copy of one that the index does not have. E_INTEGRITY when there is none. */
export async function describeChunks(
  wanted: readonly WantedChunk[],
  deps: SupplyDeps,
  signal?: AbortSignal,
): Promise<SuppliedChunk[]> {
  const rows = deps.index.locate(wanted.map((one) => one.id));
  const out: SuppliedChunk[] = [];
  for (const [i, { id, kind }] of wanted.entries()) {
    const row = rows[i]?.[0];
    const packClass = packClassOf(kind);
    if (row !== undefined) {
      const { keyId, sealedBytes, sealedSha256, identified } = row;
      out.push({ id, kind, packClass, keyId, sealedBytes, sealedSha256, identified });
    } else {
      const { keyId, sealed } = await readAnywhere(id, undefined, deps.sources, signal);
      out.push({
        id,
        kind,
        packClass,
        keyId,
        sealedBytes: sealed.length,
        sealedSha256: sha256(sealed),
        identified: false,
      });
    }
  }
  return out;
}

/**
 * The sealed bytes of each chunk, in any order, each exactly as described. Reads the first source in ranges; what it does not have good is asked for
 * one by one elsewhere.
 */
export async function* supplyChunks(
  chunks: readonly SuppliedChunk[],
  deps: SupplyDeps,
  signal?: AbortSignal,
): AsyncGenerator<SuppliedChunk & { readonly sealed: Uint8Array }> {
  const waiting = new Map<HexId, SuppliedChunk>(chunks.map((chunk) => [toHex(chunk.id), chunk]));
  const [first] = deps.sources;
  if (first !== undefined) {
    const found = await first.locate(
      chunks.map((chunk) => chunk.id),
      signal,
    );
    const addresses = found.filter((address): address is SealedAddress => address !== undefined);
    for await (const answer of first.fetch(addresses, signal)) {
      const hex = toHex(answer.address.id);
      const chunk = waiting.get(hex);
      if (chunk === undefined || !('sealed' in answer) || !bytesEqual(sha256(answer.sealed), chunk.sealedSha256))
        continue;
      waiting.delete(hex);
      yield { ...chunk, sealed: answer.sealed };
    }
  }
  for (const chunk of waiting.values()) {
    const { sealed } = await readAnywhere(chunk.id, chunk.sealedSha256, deps.sources, signal);
    yield { ...chunk, sealed };
  }
}

async function readAnywhere(
  id: ChunkId,
  expected: Uint8Array | undefined,
  sources: readonly SealedSource[],
  signal: AbortSignal | undefined,
): Promise<{ readonly sealed: Uint8Array; readonly keyId: number }> {
  let unreachable: EdgeError | undefined;
  for (const source of sources) {
    try {
      const [address] = await source.locate([id], signal);
      if (address === undefined) continue;
      let found: { sealed: Uint8Array; keyId: number } | undefined;
      for await (const answer of source.fetch([address], signal)) {
        if (!('sealed' in answer)) continue;
        if (expected === undefined || bytesEqual(sha256(answer.sealed), expected)) {
          found = { sealed: answer.sealed, keyId: answer.address.keyId };
        }
      }
      if (found !== undefined) return found;
    } catch (error) {
      signal?.throwIfAborted();
      unreachable ??= toEdgeError(error, source.label);
    }
  }
  if (unreachable !== undefined) throw unreachable;
  throw new EdgeError('E_INTEGRITY', `no store has a good copy of chunk ${toHex(id).slice(0, 8)}`, {
    hint: 'Run `edgestore scrub --all` to see which files it touches.',
    context: { chunk: toHex(id) },
  });
}

function sha256(bytes: Uint8Array): Uint8Array {
  return createHash('sha256').update(bytes).digest();
}

/** Trees and lists, which name other chunks. */
export function isMeta(kind: ChunkKind): boolean {
  return kind !== ChunkKind.data;
}
