/** `scrub --repair` where the chain of this agent is damaged. */
import { type ChainRepair, EdgeError, formatTimeNs, repairOwnChain } from '@edgestore/engine';
import { chainSources } from './chain-sources.ts';
import type { OperationContext, OperationOutcome } from './operation.ts';
import type { ScrubData } from './scrub.ts';
import { NOTHING_GIVEN_UP } from './scrub-give-up.ts';

export interface ScrubbedLogSnapshot {
  readonly id: string;
  readonly root: string;
  /** Null when only the header of its entry can be read. */
  readonly time: string | null;
}

export interface ScrubbedLog {
  /** `whole`: nothing is lost. `cut`: what could not be read anywhere is, and the agent is in a new incarnation. */
  readonly repaired: 'whole' | 'cut';
  /** Entries of the chain. */
  readonly records: number;
  readonly from: readonly string[];
  /** Where the damaged files lie now; empty where they lie beside the mended ones. */
  readonly aside: string;
  readonly snapshots: readonly ScrubbedLogSnapshot[];
  /** Their entries lay behind the damage: they can be restored, and count for no level. */
  readonly behind: readonly ScrubbedLogSnapshot[];
  readonly lost: readonly ScrubbedLogSnapshot[];
}

/** Undefined when there is nothing to repair. Exit 0 when every entry is there again, 7 when snapshots are lost, else 20. */
export async function repairOwnLog({
  home,
  signal,
  warn,
}: OperationContext): Promise<OperationOutcome<ScrubData> | undefined> {
  const { engine, peers } = home;
  if (engine.finishedRepair !== undefined) return outcomeOf(engine.finishedRepair);
  const { identity, chains, index, clock } = engine;
  const card = peers.cards.newestOf(identity.agentId)?.card;
  if (card?.role === 'reader' && chains.position(identity.agentId) === undefined) return undefined;
  if (card === undefined) throw new EdgeError('E_INTEGRITY', 'the card of this agent is missing, too');
  const repair = await repairOwnChain({
    dataDir: engine.dataDir,
    sodium: engine.sodium,
    keys: engine.keys,
    identity,
    card,
    adminSeed: await home.adminSeed(),
    random: engine.random,
    chains,
    giveUpTail: (entryOf) => engine.chain.giveUpTail(entryOf),
    index,
    sources: chainSources(home),
    signPublicKey: (agent, incarnation) => peers.cards.signPublicKey(agent, incarnation),
    time: formatTimeNs(clock.nowNs()),
    warn,
    signal,
  });
  return repair === undefined ? undefined : outcomeOf(repair);
}

function outcomeOf(repair: ChainRepair): OperationOutcome<ScrubData> {
  const log = dataOf(repair);
  const exitCode = log.lost.length > 0 ? 7 : repair.how === 'whole' ? 0 : 20;
  return { data: { ...NOTHING_READ, log }, exitCode };
}

function dataOf(repair: ChainRepair): ScrubbedLog {
  const shown = ({ id, root, timeNs }: ChainRepair['kept'][number]) => ({
    id,
    root,
    time: timeNs === undefined ? null : formatTimeNs(timeNs),
  });
  return {
    repaired: repair.how,
    records: repair.entries,
    from: repair.from,
    aside: repair.aside,
    snapshots: repair.kept.map(shown),
    behind: repair.behind.map(shown),
    lost: repair.lost.map(shown),
  };
}

const NOTHING_READ: ScrubData = {
  packs: { total: 0, read: 0 },
  chunks: 0,
  bytes: 0,
  findings: [],
  files: [],
  files_omitted: 0,
  lost: { chunks: 0, complete: true },
  given_up: NOTHING_GIVEN_UP,
  unknown: { chunks: 0, unread: 0, places: [] },
  unread: [],
  repaired: 0,
  chains: [],
  holds: [],
  dry_run: false,
  duration_s: 0,
};
