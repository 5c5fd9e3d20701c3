import type { ClassedChunk } from '../codec/opens-to-its-id.ts';
import type { WorkerPool } from '../core/ports/worker-pool.ts';
import type { PipelineTasks } from './tasks.ts';
import { workerShares } from './worker-shares.ts';

/** Shares the opening of received chunks among the workers, so that a holder answers others meanwhile. Positions in the result match. */
export function identifyInWorkers(
  pool: WorkerPool<PipelineTasks>,
): (frames: readonly ClassedChunk[]) => Promise<boolean[]> {
  return async (frames) => {
    const parts = await Promise.all(
      workerShares(frames, pool.size).map(({ chunks, transfer }) => pool.run('identify', { chunks }, { transfer })),
    );
    return parts.flatMap((part) => Array.from(part, (good) => good === 1));
  };
}
