/** Finds out what can be recovered from the given sources and as whom, without writing anything. */
import { createOpener } from '../codec/open.ts';
import { EdgeError } from '../core/errors.ts';
import type { Card } from '../keys/card.ts';
import { checkReach } from './check-reach.ts';
import { gatherLog } from './gather-log.ts';
import { describeCards, gatherVault } from './gather-vault.ts';
import { logState } from './log-state.ts';
import type { RecoverDeps, RecoverInput, RecoverPlan, VerifiedCard } from './recover-types.ts';

/**
 * E_WRONG_KEY when the sheet is of another vault, E_NO_VAULT and the like from the sources, E_AMBIGUOUS when the agent is to be named, E_NOT_FOUND
 * when there is none of that name, E_FORK when two machines wrote under one identity.
 */
export async function planRecover(input: RecoverInput, deps: RecoverDeps, signal?: AbortSignal): Promise<RecoverPlan> {
  const { sodium, warn, progress } = deps;
  const vault = await gatherVault(input, deps, signal);
  const agent = chooseAgent(vault.cards, input.agent);
  const { keys, descriptor } = vault;
  const log = await gatherLog(
    agent.agentId,
    vault.sources,
    {
      sodium,
      keys,
      adminPublicKey: descriptor.adminPublicKey,
      cards: vault.cards,
      warn,
      ...(progress === undefined ? {} : { progress }),
    },
    signal,
  );
  const { snapshots, settings } = logState(log);
  const gaps = await checkReach(
    snapshots,
    {
      sources: vault.sources.map(({ source }) => source),
      opener: createOpener(sodium, keys),
      warn,
      ...(progress === undefined ? {} : { progress }),
    },
    signal,
  );
  const lives = vault.cards.filter(({ card }) => card.agentId === agent.agentId).map(({ card }) => card.incarnation);
  return {
    descriptor,
    descriptorBytes: vault.descriptorBytes,
    keys,
    vaultKey: input.vaultKey,
    adminSeed: input.adminSeed,
    agent,
    head: log.head,
    headTimeNs: snapshots.at(-1)?.body.timeNs,
    vouchedBy: log.vouchedBy,
    settings,
    snapshots,
    gaps,
    slots: vault.slots,
    slotRemovals: vault.slotRemovals,
    cards: vault.cards,
    records: log.records.map(({ bytes }) => bytes),
    nextIncarnation: Math.max(0, log.head?.incarnation ?? 0, ...lives) + 1,
  };
}

/** The newest card of the agent that is meant. Agents that only hold or read have nothing of their own to recover, unless they are named. */
function chooseAgent(cards: readonly VerifiedCard[], wanted: string | undefined): Card {
  const newest = new Map<string, Card>();
  for (const { card } of cards) {
    if ((newest.get(card.agentId)?.incarnation ?? 0) < card.incarnation) newest.set(card.agentId, card);
  }
  const all = [...newest.values()];
  const candidates =
    wanted === undefined
      ? all.filter(({ role }) => role === 'edge')
      : all.filter(
          ({ name, agentId }) => name === wanted || (wanted.length >= 4 && agentId.startsWith(wanted.toLowerCase())),
        );
  const [agent] = candidates;
  if (agent !== undefined && candidates.length === 1) return agent;
  const names = describeCards(cards) || 'none';
  if (agent === undefined) {
    throw new EdgeError(
      'E_NOT_FOUND',
      wanted === undefined ? 'the vault has no edge agent to recover' : `the vault has no agent ${wanted}`,
      {
        hint: `Its agents: ${names}. Name one with --agent.`,
      },
    );
  }
  throw new EdgeError(
    'E_AMBIGUOUS',
    wanted === undefined
      ? 'the vault has several agents; which one is to be recovered?'
      : `several agents are called ${wanted}`,
    {
      hint: `Name one with --agent (its name or the beginning of its id): ${candidates.map(({ name, agentId }) => `${name} (${agentId.slice(0, 8)})`).join(', ')}.`,
      context: { candidates: candidates.map(({ name, agentId }) => ({ name, agent: agentId })) },
    },
  );
}
