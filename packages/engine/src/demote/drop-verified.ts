/**
 * The last step of P5 (docs/chain.md 5.5): the transaction that drops looks again. What was verified has to be what is held now. A chunk that was released and
 * added again meanwhile may end its grace at a holder before the holder hears of the new add.
 */
import type { ShardHold } from '../chain/listed.ts';
import { failpoint } from '../core/failpoint.ts';
import { type ChunkId, toHex } from '../core/ids.ts';
import type { StoreName } from '../core/ports/index.ts';
import type { DemoteDeps } from './demote-types.ts';

/** A chunk with enough verified copies elsewhere. */
export interface VerifiedChunk {
  readonly id: ChunkId;
  readonly sealedBytes: number;
  /** Own shards that held it when its copies were asked for. */
  readonly holds: readonly ShardHold[];
  /** The own cold tier in which a copy was verified, if in any: a session that relies on the chunk finds it there. */
  readonly cold: StoreName | undefined;
}

/** `kept`: positions of chunks that stay. */
export async function dropVerified(
  chunks: readonly VerifiedChunk[],
  deps: DemoteDeps,
): Promise<{ readonly bytesFreed: number; readonly kept: readonly number[] }> {
  failpoint('demote.verified');
  const byHex = new Map(chunks.map((chunk) => [toHex(chunk.id), chunk]));
  const dropped = await deps.chunks.drop(
    chunks.map(({ id }) => id),
    undefined,
    (id) => mustStay(byHex.get(toHex(id))!, deps),
  );
  failpoint('demote.dropped');
  return dropped;
}

/** Asked within the transaction. */
function mustStay({ id, holds, cold }: VerifiedChunk, { chains, index, isPutBack, self }: DemoteDeps): boolean {
  if (isPutBack()) return true;
  if (cold === undefined && index.chunks.isClaimed(id)) return true;
  const now = chains.holdsOf(self.agentId, [id])[0]!;
  return now.length !== holds.length || !holds.every((hold) => hasHold(now, hold));
}

function hasHold(holds: readonly ShardHold[], { shard, seq }: ShardHold): boolean {
  return holds.some((hold) => hold.shard === shard && hold.seq === seq);
}
