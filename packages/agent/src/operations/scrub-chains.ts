/** The part of `scrub --all` beside the packs that are known: files of chains, and what a listing of each store shows. */
import {
  bringBackChains,
  type CheckedChain,
  damagedRanges,
  isEdgeError,
  learnPacks,
  mendOtherChains,
  missingEnds,
  toEdgeError,
  verifyFiles,
} from '@edgestore/engine';
import { chainSources } from './chain-sources.ts';
import type { OperationContext } from './operation.ts';
import type { ScrubData } from './scrub.ts';

/** Of one chain. */
const MESSAGES_MAX = 20;

/**
 * Reads the files of every chain here. With `repair`, chains of others are mended from whoever has what is damaged; the own one was before. `notes`: marks of
 * damage in the index are brought up to what was read.
 */
export async function scrubChains(
  { repair, notes }: { readonly repair: boolean; readonly notes: boolean },
  { home, signal, warn }: OperationContext,
): Promise<ScrubData['chains']> {
  const { engine, peers } = home;
  const { chains, identity, dataDir, sodium } = engine;
  const look = notes ? verifyFiles : damagedRanges;
  const own = await look(chains.followed(identity.agentId), signal);
  if (!repair) {
    const checked: Pick<CheckedChain, 'agent' | 'found'>[] = [{ agent: identity.agentId, found: own }];
    for (const agent of chains.agents())
      if (agent !== identity.agentId) checked.push({ agent, found: await look(chains.followed(agent), signal) });
    checked.push(...missingEnds(chains));
    return checked.flatMap(({ agent, found }) => described({ agent, found, left: found, from: [] }));
  }
  const deps = {
    dataDir,
    sodium,
    chains,
    sources: chainSources(home),
    signPublicKey: (agent: string, incarnation: number) => peers.cards.signPublicKey(agent, incarnation),
    warn,
    signal,
  };
  const others = await mendOtherChains({ self: identity.agentId }, deps);
  const short = await bringBackChains(deps);
  return [{ agent: identity.agentId, found: own, left: own, from: [] }, ...others, ...short].flatMap(described);

  function described({ agent, found, left, from }: CheckedChain): ScrubData['chains'] {
    if (found.length === 0) return [];
    return [
      {
        agent,
        name: peers.cards.newestOf(agent)?.card.name ?? null,
        own: agent === identity.agentId,
        damaged: left.length,
        repaired: found.length - left.length,
        from,
        messages: found.slice(0, MESSAGES_MAX).map(({ message }) => message),
      },
    ];
  }
}

/**
 * Compares packs in each store with a listing: those that are gone are marked, and those that were not known count.
 * Answers what is wrong with packs that nobody
 * can read, and of which no row tells what was in them.
 */
export async function listStores({ home, signal, warn, progress }: OperationContext): Promise<string[]> {
  const unclear: string[] = [];
  const { index, clock, identity } = home.engine;
  for (const { name, objects, packs, requireIdentity } of home.stores.values()) {
    try {
      const learned = await learnPacks(
        { name, label: objects.label, packs, requireIdentity },
        identity.agentId,
        { index: index.chunks, nowNs: clock.nowNs(), progress },
        signal,
      );
      unclear.push(...learned.damaged.map(({ message }) => message));
    } catch (error) {
      signal.throwIfAborted();
      if (isEdgeError(error, 'E_NEWER_FORMAT')) throw error;
      warn({
        code: 'store-not-listed',
        message: `${objects.label} could not be listed: ${toEdgeError(error).message}`,
      });
    }
  }
  return unclear;
}
