/** What `scrub --repair` does with chains of other owners: their files are read as a whole, and mended from the owner or any other store (H3 of docs/faults.md). */
import type { AgentId } from '../core/ids.ts';
import type { DamagedRange } from '../store/chains/verify-files.ts';
import { type MendChainDeps, mendChain } from './mend-chain.ts';

export interface CheckedChain {
  readonly agent: AgentId;
  readonly found: readonly DamagedRange[];
  readonly left: readonly DamagedRange[];
  readonly from: readonly string[];
}

/** Every chain that is kept here but the own one. */
export async function mendOtherChains(input: { readonly self: AgentId }, deps: MendChainDeps): Promise<CheckedChain[]> {
  const checked: CheckedChain[] = [];
  for (const agent of deps.chains.agents()) {
    if (agent === input.self) continue;
    checked.push({ agent, ...(await mendChain(agent, deps)) });
  }
  return checked;
}
