import { createHash } from 'node:crypto';
import { type AgentId, fromHex } from '../core/ids.ts';

/** An agent that may hold others' chunks. */
export interface HolderCandidate {
  readonly agent: AgentId;
  readonly site: string;
  /** Share of owners that it takes, relative to others; 0 takes none. */
  readonly weight: number;
}

export interface Spread {
  /** How many holders. */
  readonly copies: number;
  /** In how many different sites at least; more than `copies` asks for as many holders. */
  readonly sites: number;
}

/**
 * The holders of an owner, best first: weighted rendezvous hashing (Thaler and Ravishankar 1998; the weights as −w / ln h, Schindelhauer and
 * Schomaker 2005), different sites before second holders in one. Everyone computes the same from the same members, in any order; a member that comes
 * or goes moves only the owners that it gains or loses. Fewer than asked for when there are not so many; never the owner itself.
 */
export function rankHolders(owner: AgentId, members: readonly HolderCandidate[], { copies, sites }: Spread): AgentId[] {
  const ranked = members
    .filter(({ agent, weight }) => agent !== owner && weight > 0)
    .map((member) => ({ ...member, score: scoreOf(owner, member) }))
    .sort((a, b) => b.score - a.score || (a.agent < b.agent ? -1 : 1));
  const wanted = Math.max(copies, sites);
  const chosen: AgentId[] = [];
  const usedSites = new Set<string>();
  for (const { agent, site } of ranked) {
    if (usedSites.size >= sites || chosen.length >= wanted) break;
    if (usedSites.has(site)) continue;
    usedSites.add(site);
    chosen.push(agent);
  }
  for (const { agent } of ranked) {
    if (chosen.length >= wanted) break;
    if (!chosen.includes(agent)) chosen.push(agent);
  }
  return chosen;
}

function scoreOf(owner: AgentId, { agent, weight }: HolderCandidate): number {
  const digest = createHash('sha256')
    .update('edgestore placement v1\0')
    .update(fromHex(owner, 16))
    .update(fromHex(agent, 16))
    .digest();
  // 52 bits and a half, so that it is never 0 or 1 and the logarithm is finite and below zero.
  const fraction = (Number(digest.readBigUInt64LE(0) >> 12n) + 0.5) / 2 ** 52;
  return -weight / Math.log(fraction);
}
