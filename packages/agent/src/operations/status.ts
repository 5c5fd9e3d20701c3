/** `status`: whether everything is safe, on one screen. */
import {
  formatTimeNs,
  holdFindings,
  readClock,
  relearningSince,
  type SnapshotSummary,
  type TargetStatus,
  toEdgeError,
} from '@edgestore/engine';
import { z } from 'zod';
import type { RootConfig } from '../config/config.ts';
import { ownerPolicy, replicationOf } from '../home/effective-policy.ts';
import { isEmptyFolder } from './empty-folder.ts';
import { openedOf } from './opened.ts';
import { defineOperation, type OperationContext } from './operation.ts';
import { rootIsPresent } from './root-present.ts';
import { findingsOf, type StatusFinding } from './status-findings.ts';

export interface StatusRoot {
  readonly name: string;
  readonly path: string;
  readonly present: boolean;
  /** Nothing is in the folder, although its last snapshot has files: as when a disk is not mounted. */
  readonly emptied: boolean;
  readonly watch: boolean;
  readonly last_snapshot: {
    readonly id: string;
    readonly time: string;
    readonly files: number;
    readonly bytes: number;
    readonly failed: number;
    /** It counts at no level (docs/chain.md 2.10). */
    readonly damaged: boolean;
  } | null;
  /** Besides this agent's own store, by the newest answers of targets; null without a snapshot. */
  readonly copies: { readonly have: number; readonly want: number } | null;
  readonly sites: { readonly have: number; readonly want: number } | null;
}

export interface StatusTarget {
  readonly name: string;
  readonly site: string | null;
  readonly kind: 'peer' | 'bucket';
  /** `meta`: only trees and log go there. */
  readonly scope: 'all' | 'meta';
  /** Entries that wait. */
  readonly pending: number;
  readonly pending_since: string | null;
  readonly attempts: number;
  readonly next_try: string | null;
  readonly last_error: string | null;
  readonly sending: boolean;
  /** When the target was asked last what it has; everything below, and the copies of roots, is of that time. Null when it never was. */
  readonly asked: string | null;
  /** Why it could not be asked now; only with --check. */
  readonly not_asked: string | null;
  /** What a holder lacks of this agent's chunks, as it said itself. */
  readonly lacks: StatusLacks | null;
  /** Two machines answered under its name. */
  readonly cloned: boolean;
}

export interface StatusLacks {
  /** Not there yet. */
  readonly wanted: number;
  /** Was there and is gone. */
  readonly lost: number;
  /** Cannot be read now. */
  readonly unreadable: number;
}

export interface StatusLoss {
  /** `local`, or a store's name. */
  readonly store: string;
  readonly reason: 'damaged' | 'absent' | 'unreadable';
  readonly chunks: number;
  /** Of these, chunks of which no store of this agent has a good copy. */
  readonly nowhere: number;
  readonly packs: number;
  readonly since: string;
  readonly why: string;
}

/** What is held here for an owner, or for this agent itself, and is not here. */
export interface StatusHolds extends StatusLacks {
  readonly agent: string;
  readonly name: string;
  readonly own: boolean;
  readonly since: string;
  /** False while it is only lag. */
  readonly finding: boolean;
}

export interface StatusCheckpoint {
  readonly agent: string;
  readonly name: string;
  readonly own: boolean;
  readonly shard: number;
  readonly verdict: 'false' | 'unmade';
  readonly message: string;
  readonly since: string;
}

export interface StatusData {
  readonly agent: {
    readonly id: string;
    readonly name: string;
    readonly site: string;
    readonly incarnation: number;
    /** The service is running; false when the command works on the data dir by itself. */
    readonly running: boolean;
  };
  readonly vault: { readonly id: string };
  readonly data_dir: string;
  readonly store: {
    readonly packs: number;
    readonly chunks: number;
    readonly bytes: number;
    /** Copies that were found damaged or missing. */
    readonly bad_copies: number;
    readonly free_bytes: number;
    readonly below_floor: boolean;
    /** Chunks that other agents hold here. */
    readonly held_for_others: number;
  };
  readonly roots: readonly StatusRoot[];
  /** Live snapshots of this agent that need chunks which no store has. */
  readonly damaged_snapshots: number;
  readonly targets: readonly StatusTarget[];
  readonly holds: readonly StatusHolds[];
  /** Damage of chains here, this agent's and others'. */
  readonly chain_problems: readonly {
    readonly agent: string;
    readonly name: string;
    readonly message: string;
    readonly since: string;
  }[];
  /**
   * Hold checkpoints that contradict the entries before them, and own ones that were not made because files and index
   * differ.
   */
  readonly checkpoints: readonly StatusCheckpoint[];
  /** This machine was put back to an older state, or copied: nothing is sent until it is recovered. */
  readonly put_back: { readonly since: string; readonly shown_by: string } | null;
  readonly peers: readonly { readonly name: string; readonly site: string; readonly role: string }[];
  /** Since when the index is being completed from peers and buckets after it was built anew from this disk; null when it is complete. */
  readonly relearning_since: string | null;
  /** Copies in this agent's own stores that went, are damaged or cannot be read, until they are whole again. */
  readonly losses: readonly StatusLoss[];
  /** Of other agents' releases: frames within their grace, and since when the brake stops the clock. */
  readonly releases: readonly {
    readonly name: string;
    readonly frames: number;
    readonly bytes: number;
    readonly brake_since: string | null;
  }[];
  readonly findings: readonly StatusFinding[];
}

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
    const notAsked = check ? await askTargets(context) : new Map<string, string>();
    const counts = index.chunks.counts();
    const space = await engine.chunks.freeSpace();
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
      },
      roots,
      damaged_snapshots: index.log.countSnapshots({ agent: identity.agentId, damaged: true }),
      targets: replicator.status().map((target) => statusOfTarget(target, notAsked)),
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
    const data = { ...partial, findings: findingsOf(partial, engine.clock.nowNs()) };
    return { data, exitCode: check && data.findings.length > 0 ? 20 : 0 };
  },
});

/** Own chunks that are not here are looked up one by one, when there are not more. */
const AWAY_IDS_MAX = 4096;
/** Whoever asks for a status waits no longer than this for targets that are away. */
const ASK_MS_MAX = 5000;

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
    cloned: target.isCloned,
  };
}
