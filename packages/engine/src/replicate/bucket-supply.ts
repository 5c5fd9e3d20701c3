/** Sealed chunks for a bucket: from the own disk in ranges, else from any other store, each proved by a form that the own chain lists. */
import { createHash } from 'node:crypto';
import type { Form } from '../chain/forms.ts';
import { bytesEqual } from '../core/bytes.ts';
import { type EdgeError, toEdgeError } from '../core/errors.ts';
import { type ChunkId, type HexId, type PackClass, toHex } from '../core/ids.ts';
import type { ChunkIndex } from '../core/ports/index.ts';
import type { SealedAddress, SealedSource } from '../core/ports/sealed-source.ts';

export interface SupplyRequest {
  readonly id: ChunkId;
  readonly packClass: PackClass;
}

export interface BucketChunk extends SupplyRequest {
  readonly keyId: number;
  readonly sealed: Uint8Array;
  readonly sealedSha256: Uint8Array;
  readonly identified: boolean;
}

export interface BucketSupplyDeps {
  readonly index: Pick<ChunkIndex, 'locate'>;
  /** Own disk first. */
  readonly sources: readonly SealedSource[];
  /** Forms that the own chain lists for each chunk. */
  readonly heldForms: (ids: readonly ChunkId[]) => readonly (readonly Form[])[];
  /** A source that could not be asked: a chunk that no other one has is not lost. */
  readonly onUnreachable: (error: EdgeError) => void;
}

/** In any order. A chunk of which no source has a good copy is left out. */
export async function* supplyBucket(
  wanted: readonly SupplyRequest[],
  deps: BucketSupplyDeps,
  signal?: AbortSignal,
): AsyncGenerator<BucketChunk> {
  const waiting = new Map<HexId, SupplyRequest>(wanted.map((one) => [toHex(one.id), one]));
  const good = knownDigests(wanted, deps);
  for (const source of deps.sources) {
    if (waiting.size === 0) return;
    try {
      const found = await source.locate(
        [...waiting.values()].map(({ id }) => id),
        signal,
      );
      const addresses = found.filter((address): address is SealedAddress => address !== undefined);
      for await (const answer of source.fetch(addresses, signal)) {
        if (!('sealed' in answer)) continue;
        const hex = toHex(answer.address.id);
        const request = waiting.get(hex);
        if (request === undefined) continue;
        const sealedSha256 = createHash('sha256').update(answer.sealed).digest();
        const copy = good.get(hex)?.find((one) => bytesEqual(one.sealedSha256, sealedSha256));
        if (copy === undefined) continue;
        waiting.delete(hex);
        yield { ...request, keyId: copy.keyId, sealed: answer.sealed, sealedSha256, identified: copy.identified };
      }
    } catch (error) {
      signal?.throwIfAborted();
      deps.onUnreachable(toEdgeError(error, source.label));
    }
  }
}

interface GoodCopy {
  readonly sealedSha256: Uint8Array;
  readonly keyId: number;
  readonly identified: boolean;
}

/** Copies in own packs, and listed forms. This agent made or checked each listed form before it signed the add. */
function knownDigests(wanted: readonly SupplyRequest[], deps: BucketSupplyDeps): Map<HexId, readonly GoodCopy[]> {
  const ids = wanted.map(({ id }) => id);
  const rows = deps.index.locate(ids);
  const forms = deps.heldForms(ids);
  return new Map(
    ids.map((id, i) => [
      toHex(id),
      [
        ...(rows[i] ?? []),
        ...(forms[i] ?? []).map(({ sealedSha256, keyId }) => ({ sealedSha256, keyId, identified: true })),
      ],
    ]),
  );
}
