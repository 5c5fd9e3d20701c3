/** `scrub --repair` where the log of this agent is damaged. */
import {
  decodeSegment,
  EdgeError,
  formatTimeNs,
  isEdgeError,
  type LogRepair,
  type LogSource,
  repairLog,
} from '@edgestore/engine';
import type { AgentHome } from '../home/agent-home.ts';
import type { OperationContext, OperationOutcome } from './operation.ts';
import type { ScrubData } from './scrub.ts';

export interface ScrubbedLogSnapshot {
  readonly id: string;
  readonly root: string;
  readonly time: string;
  /** The id that it had, where its record had to be written again. */
  readonly was?: string;
}

export interface ScrubbedLog {
  /** `whole`: nothing is lost. `cut`: what could not be read anywhere is, and the agent is in a new incarnation. */
  readonly repaired: 'whole' | 'cut';
  readonly records: number;
  readonly from: readonly string[];
  /** Where the damaged files lie now. */
  readonly aside: string;
  readonly snapshots: readonly ScrubbedLogSnapshot[];
  readonly lost: readonly ScrubbedLogSnapshot[];
}

/** Undefined when there is nothing to repair. Exit 0 when every record is there again, 7 when snapshots are lost, else 20. */
export async function repairOwnLog({
  home,
  signal,
  warn,
}: OperationContext): Promise<OperationOutcome<ScrubData> | undefined> {
  const { engine, peers } = home;
  if (engine.finishedRepair !== undefined) return outcomeOf(engine.finishedRepair);
  const { identity, index, logs, clock } = engine;
  const self = identity.agentId;
  const card = peers.cards.newestOf(self)?.card;
  const head = logs.head(self);
  const isMissing = card?.role !== 'reader' && (head === undefined || head.incarnation < identity.incarnation);
  const isDamaged =
    logs.problems.some(({ context }) => String(context?.path ?? '').includes(self)) || !(await newestOpens(engine));
  if (!isMissing && !isDamaged) return undefined;
  if (card === undefined) throw new EdgeError('E_INTEGRITY', 'the card of this agent is missing, too');
  const known = {
    head: index.log.headOf(self),
    snapshots: index.log.snapshots({ agent: self }),
  };
  const repair = await repairLog({
    dataDir: engine.dataDir,
    sodium: engine.sodium,
    keys: engine.keys,
    identity,
    card,
    adminSeed: await home.adminSeed(),
    random: engine.random,
    logs,
    openRecord: engine.openRecord,
    known,
    sources: logSources(home, signal),
    time: formatTimeNs(clock.nowNs()),
    warn,
    signal,
  });
  return outcomeOf(repair);
}

function outcomeOf(repair: LogRepair): OperationOutcome<ScrubData> {
  const log = dataOf(repair);
  const exitCode = repair.how === 'whole' ? 0 : log.lost.length > 0 ? 7 : 20;
  return { data: { ...NOTHING_READ, log }, exitCode };
}

/** Its framing may be whole, and its content not what was signed. */
async function newestOpens({ logs, identity, openRecord }: AgentHome['engine']): Promise<boolean> {
  const head = logs.head(identity.agentId);
  if (head === undefined) return true;
  try {
    const after = { incarnation: head.incarnation, seq: head.seq - 1 };
    for await (const record of logs.read(identity.agentId, { after })) openRecord(record);
    return true;
  } catch (error) {
    if (!isEdgeError(error, 'E_INTEGRITY', 'E_FORMAT', 'E_WRONG_KEY')) throw error;
    return false;
  }
}

function logSources({ engine, peers, stores }: AgentHome, signal: AbortSignal): LogSource[] {
  const self = engine.identity.agentId;
  const members = peers.members().flatMap((member): LogSource[] => {
    const link = peers.link(member.agent);
    return link === undefined ? [] : [{ label: link.label, records: () => link.records(self, undefined, signal) }];
  });
  const buckets = [...stores.values()].map(
    ({ vault, objects }): LogSource => ({
      label: objects.label,
      async *records() {
        for (const segment of await vault.segments(self, signal))
          yield* decodeSegment(await vault.getSegment(segment, signal)).records;
      },
    }),
  );
  return [...members, ...buckets];
}

function dataOf(repair: LogRepair): ScrubbedLog {
  const shown = ({ id, root, timeNs }: LogRepair['kept'][number]) => ({ id, root, time: formatTimeNs(timeNs) });
  return {
    repaired: repair.how,
    records: repair.records,
    from: repair.from,
    aside: repair.aside,
    snapshots: [...repair.kept.map(shown), ...repair.renewed.map((one) => ({ ...shown(one), was: one.was }))],
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
  unknown: { chunks: 0, unread: 0, places: [] },
  unread: [],
  repaired: 0,
  dry_run: false,
  duration_s: 0,
};
