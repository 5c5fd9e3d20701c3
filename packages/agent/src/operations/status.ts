/** `status`: whether everything is safe, on one screen. */
import {
  formatTimeNs,
  holdFindings,
  isEdgeError,
  readClock,
  relearningSince,
  type SnapshotSummary,
  type TargetStatus,
  toEdgeError,
} from '@edgestore/engine';
import { z } from 'zod';
import type { Config, RootConfig } from '../config/config.ts';
import { ownerPolicy, replicationOf } from '../home/effective-policy.ts';
import { isEmptyFolder } from './empty-folder.ts';
import { openedOf } from './opened.ts';
import { defineOperation, type OperationContext } from './operation.ts';
import { rootIsPresent } from './root-present.ts';
import type { StatusData, StatusRoot, StatusTarget } from './status-data.ts';
import { findingsOf } from './status-findings.ts';
import { statusOfStores } from './status-stores.ts';

const input = z.object({ check: z.boolean().default(false) });
type Input = z.output<typeof input>;

export const status = defineOperation<Input, StatusData>({
  name: 'status',
  input: input as z.ZodType<Input>,
  mutates: false,
  run: async ({ check }, context) => {
    const opened = openedOf(context);
    const { engine, loaded, replicator, members } = opened;
    const { index, identity, chains } = engine;
    const packsAway = await whyPacksAreAway(context);
    const [notAsked, stores] = await Promise.all([
      check ? askTargets(context) : new Map<string, string>(),
      statusOfStores(check, context),
    ]);
    const counts = index.chunks.counts();
    const space = packsAway === undefined ? await engine.chunks.freeSpace() : { freeBytes: 0, belowFloor: false };
    const latest = new Map(index.log.latestOfRoots(identity.agentId).map((row) => [row.root, row]));
    const roots: StatusRoot[] = [];
    for (const root of loaded.config.roots) roots.push(await statusOfRoot(root, latest.get(root.name), context));
    const nameOf = (agent: string): string => opened.nameOf(agent) ?? agent.slice(0, 8);
    const proof = context.home.putBack.get();
    const others = chains.agents().filter((agent) => agent !== identity.agentId);
    const partial: Omit<StatusData, 'findings'> = {
      agent: {
        id: identity.agentId,
        name: identity.name,
        site: identity.site,
        incarnation: identity.incarnation,
        running: context.home.running !== undefined,
      },
      vault: { id: engine.vault.vaultId },
      data_dir: engine.dataDir.path,
      store: {
        packs: counts.packs,
        chunks: counts.chunks,
        bytes: counts.bytes,
        bad_copies: counts.badCopies,
        free_bytes: space.freeBytes,
        below_floor: space.belowFloor,
        held_for_others: others.flatMap((agent) => chains.shards(agent)).reduce((sum, { held }) => sum + held, 0),
        packs_away: packsAway ?? null,
      },
      roots,
      damaged_snapshots: index.log.countSnapshots({ agent: identity.agentId, damaged: true }),
      targets: replicator.status().map((target) => statusOfTarget(target, notAsked)),
      stores,
      stores_gone: storesGone(context),
      holds: holdsHere(context).map(({ owner, wanted, lost, unreadable, sinceNs, isFinding }) => ({
        agent: owner,
        name: nameOf(owner),
        own: owner === identity.agentId,
        wanted,
        lost,
        unreadable,
        since: formatTimeNs(sinceNs),
        finding: isFinding,
      })),
      chain_problems: chains
        .problems()
        .map(({ agent, message, sinceNs }) => ({ agent, name: nameOf(agent), message, since: formatTimeNs(sinceNs) })),
      checkpoints: index.checked.all().flatMap(({ chain, shard, verdict, message, notedNs }) => {
        if (verdict !== 'false' && verdict !== 'unmade') return [];
        const { agent } = index.chainTable.row(chain);
        const own = agent === identity.agentId;
        return [{ agent, name: nameOf(agent), own, shard, verdict, message, since: formatTimeNs(notedNs) }];
      }),
      put_back: proof === undefined ? null : { since: formatTimeNs(proof.sinceNs), shown_by: proof.shownBy },
      peers: members.map(({ name, site, role }) => ({ name, site, role })),
      relearning_since: relearningSince(index.kv) ?? null,
      losses: index.chunks.losses().map(({ store, reason, chunks, nowhere, packs, sinceNs, why }) => ({
        store: store === '' ? 'local' : store,
        reason,
        chunks,
        nowhere,
        packs,
        since: formatTimeNs(sinceNs),
        why,
      })),
      releases: index.released.owners().map((owner) => {
        const { frames, bytes } = index.released.totals(owner);
        const { brakeSinceNs } = readClock(owner, index.kv, context.home.runningTime.nowNs());
        const brake_since = brakeSinceNs === undefined ? null : formatTimeNs(brakeSinceNs);
        return { name: nameOf(owner), frames, bytes, brake_since };
      }),
    };
    const findings = findingsOf(partial, {
      nowNs: engine.clock.nowNs(),
      replicationKey: replicationKey(loaded.config),
    });
    const isRed = findings.some(({ severity }) => severity !== 'info');
    return { data: { ...partial, findings }, exitCode: check && isRed ? 20 : 0 };
  },
});

/** Own chunks that are not here are looked up one by one, when there are not more. */
const AWAY_IDS_MAX = 4096;
/** Whoever asks for a status waits no longer than this for targets that are away. */
const ASK_MS_MAX = 5000;

/** The disk of the packs may go while an agent runs: nothing is lost then, and nothing can be read or stored. */
async function whyPacksAreAway({ home }: OperationContext): Promise<string | undefined> {
  try {
    await home.engine.chunks.requireFolder();
    return undefined;
  } catch (error) {
    if (!isEdgeError(error, 'E_CONFIG', 'E_IO')) throw error;
    return error.message;
  }
}

/** Where `store = …` makes a bucket get everything. */
function replicationKey({ replication }: Config): string {
  const names = Object.keys(replication);
  return `[replication.${names.includes('default') ? 'default' : (names[0] ?? 'default')}]`;
}

/** Asks each holder anew. Answers why some could not be asked: their last answers are shown with their age. */
async function askTargets({ home, signal }: OperationContext): Promise<Map<string, string>> {
  const { replicator } = home;
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(ASK_MS_MAX)]);
  const problems = new Map<string, string>();
  await Promise.all(
    replicator.targets().map(async (target) => {
      try {
        await replicator.ask(target, deadline);
      } catch (error) {
        problems.set(target.target, toEdgeError(error).message);
      }
    }),
  );
  signal.throwIfAborted();
  return problems;
}

function storesGone({ home }: OperationContext): StatusData['stores_gone'] {
  const counted = home.engine.index.chunks.packs().filter(({ store, marked }) => store !== '' && marked !== 'absent');
  return [...Map.groupBy(counted, ({ store }) => store)].flatMap(([name, packs]) =>
    home.stores.has(name) ? [] : [{ name, packs: packs.length }],
  );
}

function holdsHere(context: OperationContext): ReturnType<typeof holdFindings> {
  const { engine, heard, runningTime } = context.home;
  return holdFindings(engine.chains.agents(), {
    chains: engine.chains,
    kv: engine.index.kv,
    heard,
    running: runningTime,
    nowNs: () => engine.clock.nowNs(),
  }).filter(({ owner, lost, unreadable }) => {
    if (owner !== engine.identity.agentId) return true;
    return lost + unreadable > 0 && !isAway(context);
  });
}

/**
 * Own chunks that are not here but at as many stores as the policy says are away, as on a recovered machine, and no finding (docs/chain.md 10.1). A pack that
 * went is one all the same: it is among the losses.
 */
function isAway({ home }: OperationContext): boolean {
  const { engine, replicator, config } = home;
  const { copies } = ownerPolicy(config);
  const end = engine.chain.position()?.seq ?? 0;
  const whole = replicator
    .status()
    .filter(({ scope, acknowledged }) => scope === 'all' && (acknowledged?.seq ?? 0) >= end).length;
  if (copies > 0 && whole >= copies) return true;
  for (const { shard, lost, unreadable } of engine.chains.shards(engine.identity.agentId)) {
    if (lost + unreadable === 0) continue;
    const list = engine.chains.unsatisfiedList(engine.identity.agentId, shard, AWAY_IDS_MAX);
    if (list === undefined || copies === 0) return false;
    const missing = list.filter(({ reason }) => reason !== 'wanted').map(({ id }) => id);
    if (replicator.placed.targetsOf(missing).some((targets) => targets.length < copies)) return false;
  }
  return true;
}

async function statusOfRoot(
  root: RootConfig,
  last: SnapshotSummary | undefined,
  context: OperationContext,
): Promise<StatusRoot> {
  const { engine, loaded, replicator } = openedOf(context);
  const policy = replicationOf(loaded.config, root);
  const row = last === undefined ? undefined : engine.index.log.snapshot(last.id);
  const have = row === undefined ? undefined : await replicator.durability(row, context.signal);
  return {
    name: root.name,
    path: root.path,
    present: rootIsPresent(root.path, context.warn),
    emptied: (row?.body.stats.files ?? 0) > 0 && isEmptyFolder(root.path),
    watch: root.watch,
    last_snapshot:
      row === undefined
        ? null
        : {
            id: row.id,
            time: formatTimeNs(row.body.timeNs),
            files: row.body.stats.files,
            bytes: row.body.stats.bytes,
            failed: row.body.failed,
            damaged: row.damaged,
          },
    copies: have === undefined ? null : { have: have.copies, want: policy?.copies ?? 0 },
    sites: have === undefined ? null : { have: have.sites, want: policy?.sites ?? 0 },
  };
}

function statusOfTarget(target: TargetStatus, notAsked: ReadonlyMap<string, string>): StatusTarget {
  return {
    name: target.name,
    site: target.site ?? null,
    kind: target.type,
    scope: target.scope,
    pending: target.pending,
    pending_since: target.owedSinceNs === undefined ? null : formatTimeNs(target.owedSinceNs),
    attempts: target.attempts,
    next_try: target.nextTryNs === undefined ? null : formatTimeNs(target.nextTryNs),
    last_error: target.pending > 0 ? (target.lastError ?? null) : null,
    sending: target.isRunning,
    asked: target.askedNs === undefined ? null : formatTimeNs(target.askedNs),
    not_asked: notAsked.get(target.target) ?? null,
    lacks: target.lacks ?? null,
    branches_there: target.branchesThere,
    cloned: target.isCloned,
  };
}
