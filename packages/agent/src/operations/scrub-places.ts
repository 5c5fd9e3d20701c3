/** Where chunks lie besides this agent's own stores, for a scrub: what receipts say, and who can be asked. */
import { isRelearned, knowsAllReceipts, type ScrubPlace, type ScrubPlaces } from '@edgestore/engine';
import type { AgentHome } from '../home/agent-home.ts';
import type { Opened } from './opened.ts';

export function scrubPlaces({ engine, members, replicator }: Opened, home: AgentHome): ScrubPlaces {
  const { index, identity } = engine;
  const { kv } = index;
  const memberIds = new Set(members.map((member) => member.agent));
  const isOwn: ScrubPlaces['isOwn'] = (snapshot) => snapshot.agent === identity.agentId;
  const peers = members.map<ScrubPlace>((member) => {
    const link = home.peers.link(member.agent);
    return {
      label: link?.label ?? member.name,
      source: link?.source,
      mayKnowMore: member.role === 'holder' && !knowsAllReceipts(kv),
    };
  });
  // A bucket's packs are in the index, so what it has is known without asking: but not before it was learned again.
  const stores = [...home.stores.values()].map<ScrubPlace>((store) => {
    const isLearned = isRelearned(kv, store.name);
    return {
      label: store.objects.label,
      source: isLearned ? store.source : undefined,
      mayKnowMore: !isLearned,
    };
  });
  return {
    isOwn,
    isWholeElsewhere: (snapshot) =>
      isOwn(snapshot) && !snapshot.branch && replicator.durability(snapshot).peers.length > 0,
    hasReceipt: (id) => index.placements.placementsOf(id).some(({ target }) => memberIds.has(target)),
    others: [...peers, ...stores],
  };
}
