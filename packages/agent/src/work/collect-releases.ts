/** One collection of what other agents released here. */
import { type CollectReport, collectReleased, DEFAULT_COLLECT_POLICY } from '@edgestore/engine';
import type { AgentHome } from '../home/agent-home.ts';

export function collectReleases({ engine, runningTime }: AgentHome, signal?: AbortSignal): Promise<CollectReport> {
  const { chains, chunks, clock, identity, index } = engine;
  return collectReleased(
    DEFAULT_COLLECT_POLICY,
    {
      self: identity.agentId,
      chains,
      index,
      chunks,
      // Holds of others and of branches by their keys; own ones by their forms.
      isHeld: (id) => index.holds.isHeldByOthers(id) || chains.heldForms(identity.agentId, [id])[0]!.length > 0,
      heldBytes: (owner) => {
        const { chunks: stored, bytes } = index.chunks.counts();
        const held = chains.shards(owner).reduce((sum, shard) => sum + shard.held, 0);
        return stored === 0 ? 0 : Math.round((bytes / stored) * held);
      },
      running: runningTime,
      nowNs: () => clock.nowNs(),
    },
    signal,
  );
}
