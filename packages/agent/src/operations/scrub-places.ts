/** Where chunks lie besides this agent's own stores, for a scrub: what targets answered when it began, and who can be asked. */
import { isEdgeError, isRelearned, type ScrubPlace, type ScrubPlaces, toEdgeError } from '@edgestore/engine';
import type { AgentHome } from '../home/agent-home.ts';
import type { Opened } from './opened.ts';

/** A holder that is away holds a scrub up no longer than this. */
const ASK_MS_MAX = 15_000;

/** With `asks`, every holder is asked what it has now: what it said before, and may have lost since, does not make a chunk whole. */
export async function scrubPlaces(
  { engine, members, replicator }: Opened,
  home: AgentHome,
  options: { readonly asks: boolean; readonly signal: AbortSignal },
): Promise<ScrubPlaces> {
  const { index, identity } = engine;
  const { kv } = index;
  const isOwn: ScrubPlaces['isOwn'] = (snapshot) => snapshot.agent === identity.agentId;
  const silent = options.asks ? await askHolders(home, options.signal) : new Set<string>();
  const peers = members.map<ScrubPlace>((member) => {
    const link = home.peers.link(member.agent);
    return {
      label: link?.label ?? member.name,
      source: link?.source,
      mayKnowMore: member.role === 'holder' && silent.has(member.agent),
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
    isWholeElsewhere: async (snapshot) =>
      isOwn(snapshot) && !snapshot.branch && (await replicator.durability(snapshot)).peers > 0,
    isHeld: (snapshot, id) => {
      const { agent, shard } = snapshot;
      if (engine.chains.isHeld(agent, shard, [id])[0] === 1) return true;
      if (isOwn(snapshot)) return false;
      return index.holds.isHeldByOthers(id) || engine.chains.holdsOf(identity.agentId, [id])[0]!.length > 0;
    },
    isPlaced: (id) => replicator.placed.targetsOf([id])[0]!.length > 0,
    others: [...peers, ...stores],
  };
}

/** Answers which could not be asked. */
async function askHolders({ replicator }: AgentHome, signal: AbortSignal): Promise<Set<string>> {
  const silent = new Set<string>();
  await Promise.all(
    replicator.targets().map(async (target) => {
      try {
        await replicator.ask(target, AbortSignal.any([signal, AbortSignal.timeout(ASK_MS_MAX)]));
      } catch (error) {
        signal.throwIfAborted();
        if (!isEdgeError(toEdgeError(error))) throw error;
        silent.add(target.target);
      }
    }),
  );
  return silent;
}
