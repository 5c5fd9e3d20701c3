import type { ClassedChunk } from '../codec/opens-to-its-id.ts';

export interface WorkerShare {
  readonly chunks: readonly ClassedChunk[];
  readonly transfer: readonly ArrayBuffer[];
}

/** Divides chunks into one part for each worker, in order, ready to be transferred. */
export function workerShares(chunks: readonly ClassedChunk[], workers: number): WorkerShare[] {
  const size = Math.ceil(chunks.length / workers);
  const shares: WorkerShare[] = [];
  for (let at = 0; at < chunks.length; at += size) {
    // Copies of exactly these bytes: a view would take the whole buffer that the frames arrived in along.
    const copies = chunks.slice(at, at + size).map(({ id, packClass, keyId, sealed }) => ({
      id: Uint8Array.from(id),
      packClass,
      keyId,
      sealed: Uint8Array.from(sealed),
    }));
    shares.push({ chunks: copies, transfer: copies.map((copy) => copy.sealed.buffer) });
  }
  return shares;
}
