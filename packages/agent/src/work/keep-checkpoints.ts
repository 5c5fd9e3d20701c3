/**
 * Hold checkpoints, beside everything else: own ones are made when they are due, those of other owners are compared
 * with parts made here.
 */
import { type MadeCheckpoint, type ProvedCheckpoint, proveCheckpoints } from '@edgestore/engine';
import type { AgentHome } from '../home/agent-home.ts';

export interface KeptCheckpoints {
  readonly made: readonly MadeCheckpoint[];
  readonly proved: readonly (ProvedCheckpoint & { readonly agent: string })[];
}

export async function keepCheckpoints(home: AgentHome, signal?: AbortSignal): Promise<KeptCheckpoints> {
  const { chains, identity } = home.engine;
  const made = await makeOwnCheckpoints(home, signal);
  const proved: KeptCheckpoints['proved'][number][] = [];
  for (const agent of chains.agents()) {
    if (agent === identity.agentId) continue;
    for (const one of await proveCheckpoints(chains.followed(agent), signal)) proved.push({ ...one, agent });
  }
  return { made, proved };
}

/** A machine that was put back writes no more than it must. */
export async function makeOwnCheckpoints(
  { engine, config, putBack, replicator }: AgentHome,
  signal?: AbortSignal,
): Promise<readonly MadeCheckpoint[]> {
  if (putBack.get() !== undefined) return [];
  const made = await engine.chain.makeCheckpoints({ bytesMin: config.limits.checkpointBytes }, signal);
  if (made.some(({ seq }) => seq !== undefined)) replicator.owe();
  return made;
}
