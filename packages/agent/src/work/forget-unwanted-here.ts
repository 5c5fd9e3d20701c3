/** Losses of chunks that nobody holds any more are none. */
import { type Engine, forgetUnwanted, isEdgeError } from '@edgestore/engine';
import type { AgentHome } from '../home/agent-home.ts';

/** Answers the chunks that are a loss no more. Nothing on a machine that was put back: what it holds is not known. */
export function forgetUnwantedHere({ engine, putBack }: Pick<AgentHome, 'engine' | 'putBack'>): ReadonlySet<string> {
  if (putBack.get() !== undefined) return new Set();
  try {
    return forgetUnwanted(depsOf(engine));
  } catch (error) {
    // On a full disk commands that only read go on; the next start forgets them.
    if (!isEdgeError(error, 'E_NO_SPACE')) throw error;
    return new Set();
  }
}

function depsOf({ chains, identity, index }: Engine): Parameters<typeof forgetUnwanted>[0] {
  return {
    chains,
    chunks: index.chunks,
    isHeld: (id) => index.holds.isHeldByOthers(id) || chains.heldForms(identity.agentId, [id])[0]!.length > 0,
  };
}
