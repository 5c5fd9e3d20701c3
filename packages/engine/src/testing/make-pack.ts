/** A whole pack of made-up sealed chunks, for tests that move packs about and open nothing. */
import { createHash } from 'node:crypto';
import type { PackClass, VaultId } from '../core/ids.ts';
import type { SealedChunk } from '../core/ports/chunk-store.ts';
import type { FrameRow } from '../core/ports/index.ts';
import { createPackBuilder, type FinishedPack } from '../pack/pack-builder.ts';

/** When the made-up chunks were first stored. */
export const MADE_NS = 1_700_000_000_000_000_000n;

export interface MadePack extends Omit<FinishedPack, 'frames'> {
  readonly frames: readonly FrameRow[];
  /** The pack as it lies in a store. */
  readonly body: Uint8Array;
}

export function makeSealedChunk(bytes: Uint8Array, packClass: PackClass = 'data'): SealedChunk {
  const sha256 = new Uint8Array(createHash('sha256').update(bytes).digest());
  return {
    id: new Uint8Array(createHash('sha256').update('id').update(bytes).digest()),
    packClass,
    keyId: 1,
    bytes,
    sha256,
    identified: true,
  };
}

export function makePack(vault: VaultId, chunks: readonly SealedChunk[], packClass: PackClass = 'data'): MadePack {
  const builder = createPackBuilder(vault, packClass);
  const parts: Uint8Array[] = [builder.header()];
  for (const chunk of chunks) {
    builder.add(chunk);
    parts.push(builder.frameHeader(chunk), chunk.bytes);
  }
  const finished = builder.finish(MADE_NS);
  return { ...finished, frames: [...finished.frames], body: Buffer.concat([...parts, finished.tail]) };
}
