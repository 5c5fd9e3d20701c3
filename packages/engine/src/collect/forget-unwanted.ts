/**
 * Copies that are damaged or gone, of chunks that nobody holds any more: their owner released or gave them up
 * (docs/chain.md 2.10), so what went is no loss. Rows and marks go, no file changes. What is held is known only where
 * every chain is whole, and applied up to its end.
 */
import { type ChunkId, type HexId, toHex } from '../core/ids.ts';
import type { ChunkIndex } from '../core/ports/index.ts';
import type { ClaimingSession } from '../index/claims.ts';
import type { Chains } from '../ports/chains.ts';

export interface ForgetUnwantedDeps {
  readonly chains: Pick<Chains, 'agents' | 'position' | 'problems' | 'shards'>;
  readonly chunks: Pick<ChunkIndex, 'forgetBadCopies' | 'lostUnheldIds' | 'settleLosses'> & {
    sessions(): readonly ClaimingSession[];
  };
  /** Whether any shard of any owner, own ones included, or a branch holds the chunk. */
  readonly isHeld: (id: ChunkId) => boolean;
}

/** Answers the chunks that are a loss no more. */
export function forgetUnwanted({ chains, chunks, isHeld }: ForgetUnwantedDeps): ReadonlySet<HexId> {
  const ids = chunks.lostUnheldIds();
  // A capture that runs may hold some of them in a moment.
  if (ids.length === 0 || chunks.sessions().length > 0 || !isEveryHoldKnown(chains)) return new Set();
  const unwanted = ids.filter((id) => !isHeld(id));
  if (unwanted.length === 0) return new Set();
  chunks.forgetBadCopies(unwanted, isHeld);
  chunks.settleLosses();
  return new Set(unwanted.map(toHex));
}

function isEveryHoldKnown(chains: ForgetUnwantedDeps['chains']): boolean {
  if (chains.problems().length > 0) return false;
  return chains.agents().every((agent) => {
    const end = chains.position(agent)?.seq ?? 0;
    return chains.shards(agent).every(({ applied }) => applied >= end);
  });
}
