/** The part of `scrub --all` that reads the own chain in each store again: a recovery from there rests on it. */
import { isEdgeError, scrubSegments, toEdgeError } from '@edgestore/engine';
import type { OperationContext } from './operation.ts';
import type { ScrubData } from './scrub.ts';
import { scrubMissing } from './scrub-missing.ts';

/** Of one store. */
const MESSAGES_MAX = 20;

/** One for each store with damage, and the stores that could not be read. */
export async function scrubStoredChains(
  { repair, notes }: { readonly repair: boolean; readonly notes: boolean },
  context: OperationContext,
): Promise<{ readonly chains: ScrubData['chains']; readonly unread: ScrubData['unread'] }> {
  const { home, signal, warn } = context;
  const { identity, chains } = home.engine;
  const found: ScrubData['chains'][number][] = [];
  const unread: ScrubData['unread'][number][] = [];
  for (const { name, objects, vault, requireIdentity } of home.stores.values()) {
    try {
      await requireIdentity(signal);
      const read = await scrubSegments({ agent: identity.agentId, repair }, { vault, requireIdentity, chains, signal });
      const gone = await scrubMissing(name, { repair, notes }, context);
      const damaged = [...read.damaged, ...gone.missing];
      const repaired = read.repaired + gone.repaired;
      if (damaged.length === 0) continue;
      found.push({
        agent: identity.agentId,
        name: `${identity.name} at ${objects.label}`,
        own: true,
        damaged: damaged.length - repaired,
        repaired,
        from: repaired > 0 ? [identity.name] : [],
        messages: damaged.slice(0, MESSAGES_MAX),
      });
    } catch (error) {
      signal.throwIfAborted();
      if (isEdgeError(error, 'E_NEWER_FORMAT')) throw error;
      const { code, message } = toEdgeError(error, objects.label);
      unread.push({ store: objects.label, code, message });
      warn({ code, message: `the chain at ${objects.label} could not be read: ${message}` });
    }
  }
  return { chains: found, unread };
}
