import type { ClassedChunk } from '../codec/opens-to-its-id.ts';
import type { WorkerPool } from '../core/ports/worker-pool.ts';
import type { PipelineTasks } from './tasks.ts';

/** Shares the opening of received chunks among the workers, so that a holder answers others meanwhile. Positions in the result match. */
export function identifyInWorkers(
  pool: WorkerPool<PipelineTasks>,
): (frames: readonly ClassedChunk[]) => Promise<boolean[]> {
  return async (frames) => {
    const share = Math.ceil(frames.length / pool.size);
    const parts: Promise<Uint8Array>[] = [];
    for (let at = 0; at < frames.length; at += share) {
      // Copies of exactly these bytes: a view would take the whole buffer that the frames arrived in along.
      const chunks = frames.slice(at, at + share).map(({ id, packClass, keyId, sealed }) => ({
        id: Uint8Array.from(id),
        packClass,
        keyId,
        sealed: Uint8Array.from(sealed),
      }));
      parts.push(pool.run('identify', { chunks }, { transfer: chunks.map((chunk) => chunk.sealed.buffer) }));
    }
    return (await Promise.all(parts)).flatMap((part) => Array.from(part, (good) => good === 1));
  };
}
