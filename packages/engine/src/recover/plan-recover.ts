/** Finds out what can be recovered from the given sources and as whom, without writing anything but the spool. */

import { isHoldKind } from '../chain/entry-head.ts';
import { comparePlaces } from '../chain/position.ts';
import { createOpener } from '../codec/open.ts';
import { EdgeError } from '../core/errors.ts';
import type { RecoverySource } from '../core/ports/peer.ts';
import type { Card } from '../keys/card.ts';
import { type ChainState, chainState } from './chain-state.ts';
import { branchesOf, chainTree, type TreeBranch, trailTo } from './chain-tree.ts';
import { checkReach } from './check-reach.ts';
import { chooseTip } from './choose-tip.ts';
import { describeBranches } from './describe-branches.ts';
import { type GatheredEntry, gatherChain } from './gather-chain.ts';
import { describeCards, gatherVault } from './gather-vault.ts';
import type { RecoverDeps, RecoveredSnapshot, RecoverInput, RecoverPlan, VerifiedCard } from './recover-types.ts';

/**
 * E_WRONG_KEY when the sheet is of another vault, E_NO_VAULT and the like from the sources, E_AMBIGUOUS when the agent is to be named, E_NOT_FOUND
 * when there is none of that name or no such branch, E_FORK when the newest incarnation has several ends and none was chosen.
 */
export async function planRecover(input: RecoverInput, deps: RecoverDeps, signal?: AbortSignal): Promise<RecoverPlan> {
  const { sodium, warn, progress } = deps;
  const vault = await gatherVault(input, deps, signal);
  const agent = chooseAgent(vault.cards, input.agent);
  const { keys, descriptor } = vault;
  const withProgress = progress === undefined ? {} : { progress };
  const { entries, seenAt } = await gatherChain(
    agent.agentId,
    vault.sources,
    {
      sodium,
      keys,
      adminPublicKey: descriptor.adminPublicKey,
      cards: vault.cards,
      spool: input.spool,
      warn,
      ...withProgress,
    },
    signal,
  );
  if (entries.size === 0) refuseNothing(agent, vault.sources, warn);
  const { tips, loose } = chainTree(entries);
  const describe = (chosen: GatheredEntry | undefined) =>
    describeBranches(entries, tips, chosen, { seenAt, newestCard: agent });
  const tip = chooseTip(tips, input, describe);
  const trail = trailTo(entries, tip);
  const sideChains = branchesOf(entries, tips, trail);
  if (loose.length > 0) warn({ code: 'log-gap', message: gapMessage(loose) });
  const state = joinLoose(chainState(trail), chainState(loose));
  const snapshots = withBranches(state.snapshots, sideChains);
  for (const [label, message] of behind(tip, seenAt, entries)) warn({ code: 'behind', message: `${label} ${message}` });
  const gaps = await checkReach(
    snapshots,
    { sources: vault.sources, opener: createOpener(sodium, keys), warn, ...withProgress },
    signal,
  );
  const lives = vault.cards.filter(({ card }) => card.agentId === agent.agentId).map(({ card }) => card.incarnation);
  const incarnations = [...entries.values()].map(({ incarnation }) => incarnation);
  return {
    descriptor,
    descriptorBytes: vault.descriptorBytes,
    keys,
    vaultKey: input.vaultKey,
    adminSeed: input.adminSeed,
    agent,
    head: tip === undefined ? undefined : { incarnation: tip.incarnation, seq: tip.seq, link: tip.link },
    branches: describe(tip),
    headTimeNs: state.snapshots.at(-1)?.body.timeNs,
    vouchedBy: tip === undefined ? [] : [...seenAt].filter(([, ends]) => ends.has(tip.link)).map(([label]) => label),
    settings: state.settings,
    snapshots,
    gaps,
    slots: vault.slots,
    slotRemovals: vault.slotRemovals,
    cards: vault.cards,
    trail,
    sideChains,
    loose,
    state,
    brokenShards: brokenShards(trail),
    spool: input.spool,
    nextIncarnation: Math.max(0, max(incarnations), ...lives) + 1,
  };
}

/**
 * A takeover from nothing begins a new trail, and makes a branch of what other stores have: of an edge's whole history.
 * A holder's own chain has nothing but settings.
 */
function refuseNothing({ name, role }: Card, sources: readonly RecoverySource[], warn: RecoverDeps['warn']): void {
  const asked = sources.map(({ label }) => label).join(', ');
  const message = `no entry of the chain of ${name} is at ${asked}`;
  if (role === 'holder') {
    warn({ code: 'log-gap', message: `${message}: its own chain begins anew` });
    return;
  }
  throw new EdgeError('E_NOT_FOUND', `${message}: there is nothing to go on from`, {
    hint: 'Name the other stores too, as many as there are (--from, several times): holders, and the bucket of the recovery sheet. If none of them has it, join as a new agent: edgestore peer join.',
    context: { agent: name },
  });
}

/** Snapshots from behind a gap stay listed and restorable. They count for no level, as nothing proves what holds they have. */
function joinLoose(onTrail: ChainState, loose: ChainState): ChainState {
  if (loose.snapshots.length === 0 && loose.settings === undefined) return onTrail;
  const known = new Set(onTrail.snapshots.map(({ id }) => id));
  const placeOf = ({ incarnation, seq }: RecoveredSnapshot): string => `${incarnation}/${seq}`;
  const taken = new Set(onTrail.snapshots.map(placeOf));
  const added = loose.snapshots
    .filter((one) => !known.has(one.id) && !taken.has(placeOf(one)))
    .map((one) => ({ ...one, damaged: true }));
  return {
    snapshots: [...onTrail.snapshots, ...added].sort(comparePlaces),
    pins: [...onTrail.pins, ...loose.pins],
    settings: loose.settings ?? onTrail.settings,
  };
}

function withBranches(
  snapshots: readonly RecoveredSnapshot[],
  sideChains: readonly TreeBranch<GatheredEntry>[],
): RecoveredSnapshot[] {
  const all = new Map(snapshots.map((one) => [one.id, one]));
  for (const { tip, entries } of sideChains) {
    for (const one of chainState(entries).snapshots) {
      if (!all.has(one.id)) all.set(one.id, { ...one, branch: tip.link });
    }
  }
  return [...all.values()].sort(comparePlaces);
}

function gapMessage(loose: readonly GatheredEntry[]): string {
  const snapshots = loose.filter(({ record }) => record?.type === 'snapshot').length;
  return `entries are missing in the chain; ${loose.length} entries behind them cannot be joined to it: their ${snapshots} snapshot(s) are listed, and marked damaged`;
}

/** Sources that have the chosen chain, but not its end. */
function behind(
  tip: GatheredEntry | undefined,
  seenAt: ReadonlyMap<string, ReadonlySet<string>>,
  entries: ReadonlyMap<string, GatheredEntry>,
): [string, string][] {
  if (tip === undefined) return [];
  return [...seenAt].flatMap(([label, ends]): [string, string][] => {
    const newest = [...ends].map((link) => entries.get(link)!).sort((a, b) => b.seq - a.seq)[0];
    if (newest === undefined || ends.has(tip.link) || newest.seq >= tip.seq) return [];
    const { incarnation, seq } = newest;
    return [[label, `has this chain only up to ${incarnation}/${seq}; the newest is ${tip.incarnation}/${tip.seq}`]];
  });
}

function brokenShards(trail: readonly GatheredEntry[]): number[] {
  const broken = trail.filter(({ kind, hasBody }) => isHoldKind(kind) && !hasBody).map(({ shard }) => shard);
  return [...new Set(broken)];
}

function max(numbers: readonly number[]): number {
  return numbers.reduce((most, one) => Math.max(most, one), 0);
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
