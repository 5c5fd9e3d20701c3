/** Proof of copies without moving them (P5): each chunk is re-read from the medium below the local packs, not from memory, and hashed with the caller's nonce. */
import type { ClassedChunk } from '../codec/opens-to-its-id.ts';
import type { Sodium } from '../codec/sodium.ts';
import { type ChunkId, type HexId, toHex } from '../core/ids.ts';
import { MIB } from '../core/limits.ts';
import type { ChunkStore } from '../core/ports/chunk-store.ts';
import type { ChunkIndex } from '../core/ports/index.ts';
import type { VerifiedBytes } from '../core/ports/peer.ts';
import type { HashPlaintexts } from './hash-plaintexts.ts';

export interface VerifyDeps {
  readonly sodium: Sodium;
  readonly chunks: Pick<ChunkStore, 'locate' | 'verify'>;
  readonly index: { readonly chunks: Pick<ChunkIndex, 'locate'> };
  /** Undefined on a blind holder. */
  readonly hashPlaintexts: HashPlaintexts | undefined;
}

/** Sealed bytes that are opened at a time. */
const OPENED_BYTES = 16 * MIB;

/** See `PeerLink.verify`. Positions match `ids`. */
export function verifyCopies(
  nonce: Uint8Array,
  ids: readonly ChunkId[],
  of: VerifiedBytes,
  deps: VerifyDeps,
  signal?: AbortSignal,
): Promise<(Uint8Array | undefined)[]> {
  return of === 'sealed' ? sealedHashes(nonce, ids, deps, signal) : plainHashes(nonce, ids, deps, signal);
}

async function sealedHashes(
  nonce: Uint8Array,
  ids: readonly ChunkId[],
  deps: VerifyDeps,
  signal: AbortSignal | undefined,
): Promise<(Uint8Array | undefined)[]> {
  const addresses = (await deps.chunks.locate(ids, signal)).filter((address) => address !== undefined);
  const hashes = new Map<string, Uint8Array>();
  for await (const outcome of deps.chunks.verify(addresses, signal)) {
    if ('sealed' in outcome)
      hashes.set(toHex(outcome.address.id), deps.sodium.crypto_generichash(32, outcome.sealed, nonce));
  }
  return ids.map((id) => hashes.get(toHex(id)));
}

async function plainHashes(
  nonce: Uint8Array,
  ids: readonly ChunkId[],
  deps: VerifyDeps,
  signal: AbortSignal | undefined,
): Promise<(Uint8Array | undefined)[]> {
  const { hashPlaintexts } = deps;
  if (hashPlaintexts === undefined) return ids.map(() => undefined);
  const hashes = new Map<HexId, Uint8Array>();
  let group: ClassedChunk[] = [];
  let bytes = 0;
  const hashGroup = async (): Promise<void> => {
    signal?.throwIfAborted();
    const answers = await hashPlaintexts(nonce, group);
    for (const [i, answer] of answers.entries()) if (answer !== undefined) hashes.set(toHex(group[i]!.id), answer);
    group = [];
    bytes = 0;
  };
  const classOf = new Map(
    deps.index.chunks.locate(ids).flatMap((copies) => copies.map((copy) => [toHex(copy.id), copy.packClass] as const)),
  );
  const addresses = (await deps.chunks.locate(ids, signal)).filter((address) => address !== undefined);
  for await (const outcome of deps.chunks.verify(addresses, signal)) {
    if (!('sealed' in outcome)) continue;
    const { id, keyId } = outcome.address;
    group.push({ id, keyId, packClass: classOf.get(toHex(id)) ?? 'data', sealed: outcome.sealed });
    bytes += outcome.sealed.length;
    if (bytes >= OPENED_BYTES) await hashGroup();
  }
  if (group.length > 0) await hashGroup();
  return ids.map((id) => hashes.get(toHex(id)));
}
