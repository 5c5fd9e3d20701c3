import type { ClassedChunk } from '../codec/opens-to-its-id.ts';
import type { WorkerPool } from '../core/ports/worker-pool.ts';
import type { PipelineTasks } from './tasks.ts';
import { workerShares } from './worker-shares.ts';

/** Shares the opening and hashing of held chunks among the workers, so that a holder answers others meanwhile. Positions in the result match. */
export function hashPlaintextsInWorkers(
  pool: WorkerPool<PipelineTasks>,
): (nonce: Uint8Array, chunks: readonly ClassedChunk[]) => Promise<(Uint8Array | undefined)[]> {
  return async (nonce, held) => {
    const parts = await Promise.all(
      workerShares(held, pool.size).map(({ chunks, transfer }) =>
        pool.run('hashPlaintexts', { nonce: Uint8Array.from(nonce), chunks }, { transfer }),
      ),
    );
    return parts.flat();
  };
}
