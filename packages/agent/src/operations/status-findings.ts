/** What in a status needs somebody's attention. */
import type {
  StatusCheckpoint,
  StatusData,
  StatusHolds,
  StatusLacks,
  StatusLoss,
  StatusRoot,
  StatusStore,
  StatusTarget,
} from './status-data.ts';

export interface StatusFinding {
  readonly code: string;
  /** `info` is a note: `--check` ends with 0 when there are only notes. */
  readonly severity: 'warning' | 'info';
  readonly message: string;
  /** Since when it is so, where that is known. */
  readonly since?: string;
  /** What happens by itself, or what to do. */
  readonly next?: string;
}

type Found = Omit<StatusFinding, 'severity'> & Partial<Pick<StatusFinding, 'severity'>>;

/** A target that said nothing for so long may have lost anything. */
const SILENT_NS = 86_400_000_000_000n;

/** `replicationKey`: the table of the configuration in which `store` names a bucket that gets everything. */
export function findingsOf(
  status: Omit<StatusData, 'findings'>,
  { nowNs, replicationKey }: { readonly nowNs: bigint; readonly replicationKey: string },
): StatusFinding[] {
  const { store } = status;
  const findings: Found[] = [];
  const add = (code: string, message: string, more: Pick<StatusFinding, 'since' | 'next'> = {}): void =>
    void findings.push({ code, message, ...more });
  if (status.put_back !== null) {
    add(
      'put_back',
      `this machine was put back to an older state, or copied: ${status.put_back.shown_by} has entries with its signature that are not here. Nothing is sent to any store`,
      { since: status.put_back.since, next: 'edgestore recover, into a new data dir' },
    );
  }
  if (store.packs_away !== null)
    add(
      'packs_away',
      `the folder of the packs is not there: ${store.packs_away}. Nothing is lost, and nothing in it can be read or stored`,
      {
        next: 'mount its disk, or correct pack_dir; it is used again at once',
      },
    );
  // A holder that lost the chain of an owner holds for others all the same.
  if (status.roots.length === 0 && store.held_for_others === 0 && status.chain_problems.length === 0)
    add('no_roots', 'nothing is protected yet: edgestore sync FOLDER');
  for (const root of status.roots) for (const [code, message] of problemsOf(root)) add(code, message);
  for (const { name, last_snapshot } of status.roots.filter((one) => one.last_snapshot?.damaged === true))
    add(
      'damaged_snapshot',
      `the last snapshot of root ${name} is damaged and counts at no level: ${last_snapshot!.id}`,
      { next: 'edgestore sync makes one that counts; what of this one is left is restored by file' },
    );
  for (const one of status.stores) findings.push(...problemsOfStore(one, replicationKey, status));
  for (const { name, packs } of status.stores_gone)
    add('store_gone', `the store ${name} is not configured any more, and the index has ${packs} packs in it`, {
      next: 'configure it again, or run edgestore sync: what files still have of it is stored again',
    });
  for (const { name, branches_there } of status.targets.filter((one) => one.branches_there > 0))
    add(
      'branch_elsewhere',
      `${name} keeps ${branches_there} other end(s) of this agent's history, with snapshots that are not listed here`,
      {
        next: 'edgestore snapshot list --agent NAME on that machine shows them, and restore there brings them back; to go on from it, edgestore recover --branch',
      },
    );
  for (const target of status.targets) findings.push(...problemsOfTarget(target, status, nowNs));
  for (const holds of status.holds.filter((one) => one.finding)) findings.push(problemOfHolds(holds));
  for (const { name, message, since } of status.chain_problems)
    add('damaged_chain', `the chain of ${name} here: ${message}`, {
      since,
      next: 'edgestore scrub --all --repair; a copy of another agent is mended when its owner sends again, too',
    });
  findings.push(...status.checkpoints.map(problemOfCheckpoint));
  // A pack that went is no finding when each of its chunks is good again elsewhere in this store: what it had is whole.
  for (const loss of status.losses.filter(({ chunks }) => chunks > 0)) findings.push(problemOfLoss(loss));
  for (const { name, frames, brake_since } of status.releases.filter((one) => one.brake_since !== null))
    add('brake', `${name} released ${frames} chunks here at once: they stay, and wait for an answer`, {
      ...(brake_since === null ? {} : { since: brake_since }),
      next: 'nothing of them is deleted; see docs/invariants.md, "Releases"',
    });
  if (store.below_floor) add('no_space', 'free space is below the floor: nothing new is stored until there is more');
  if (status.relearning_since !== null) {
    add(
      'relearning',
      `the index was built anew on ${status.relearning_since}; what only peers and buckets know is still being learned from them`,
    );
  }
  return findings.map((found) => ({ severity: 'warning', ...found }));
}

function problemsOfStore(store: StatusStore, replicationKey: string, status: Pick<StatusData, 'roots'>): Found[] {
  const { name, scope, away } = store;
  const findings: Found[] = [];
  if (away !== null) {
    const { since, code, message, next } = away;
    findings.push({
      code: 'store_away',
      message: `the store ${name} cannot be used, and its copies count as out of reach, not as lost: ${code}: ${message}`,
      since,
      next,
    });
  }
  if (scope === 'none') {
    findings.push({
      code: 'store_unused',
      severity: 'info',
      message: `the store ${name} is configured and nothing is sent to it`,
      next: `store = "${name}" in ${replicationKey} sends everything there; cold = "${name}" in a [tiering.<name>] makes it a cold tier`,
    });
  }
  // An agent without roots has nothing that a bucket could bring back.
  if (scope === 'meta' && status.roots.length > 0) {
    const isMet = status.roots.every(isSafeElsewhere);
    findings.push({
      code: 'bucket_incomplete',
      severity: isMet ? 'info' : 'warning',
      message: `the bucket ${name} is only a cold tier: it holds no complete snapshot, so it alone cannot bring everything back${isMet ? '. The copies that the configuration asks for are elsewhere' : ''}`,
      next: `store = "${name}" in ${replicationKey} sends everything there, and the bucket then counts as one copy and one site`,
    });
  }
  return findings;
}

/** Where the configuration asks for no copies, nothing is met. */
function isSafeElsewhere({ copies, sites }: StatusRoot): boolean {
  return copies !== null && sites !== null && copies.want > 0 && copies.have >= copies.want && sites.have >= sites.want;
}

function problemsOf(root: StatusRoot): [string, string][] {
  const problems: [string, string][] = [];
  if (!root.present) problems.push(['root_missing', `the folder of root ${root.name} is not there: ${root.path}`]);
  if (root.emptied) {
    const files = root.last_snapshot?.files ?? 0;
    problems.push([
      'root_emptied',
      `the folder of root ${root.name} is empty, and its last snapshot has ${files} files: is its disk mounted? ${root.path}`,
    ]);
  }
  if (root.last_snapshot === null) problems.push(['never_captured', `root ${root.name} was never captured`]);
  else if (root.last_snapshot.failed > 0) {
    problems.push([
      'unreadable_files',
      `${root.last_snapshot.failed} items of root ${root.name} could not be read at its last capture`,
    ]);
  }
  const { copies, sites } = root;
  if (copies !== null && sites !== null && (copies.have < copies.want || sites.have < sites.want)) {
    problems.push([
      'not_enough_copies',
      `the last snapshot of ${root.name} has ${copies.have} of ${copies.want} copies elsewhere, in ${sites.have} of ${sites.want} sites`,
    ]);
  }
  return problems;
}

function problemsOfTarget(
  target: StatusTarget,
  status: Pick<StatusData, 'agent' | 'roots' | 'stores' | 'targets'>,
  nowNs: bigint,
): Found[] {
  const findings: Found[] = [];
  const { name, lacks } = target;
  const store = target.kind === 'bucket' ? status.stores.find((one) => one.name === name) : undefined;
  // A store that is away is told once, with what to do.
  if (target.last_error !== null && (store?.away ?? null) === null) {
    findings.push({
      code: 'target_failing',
      message: `${name} (${target.attempts} tries): ${target.last_error}${store?.reachable === true ? '. It answers now' : ''}`,
      ...(target.pending_since === null ? {} : { since: target.pending_since }),
      next: nextTryOf(target, status, nowNs),
    });
  }
  if (lacks !== null && lacks.lost + lacks.unreadable > 0) {
    findings.push({
      code: 'copies_lost_at_target',
      message: `${name} says of the chunks that it holds for this agent: ${textOf(lacks)}`,
      next: 'the next sync or pass sends them again from here; edgestore where shows other copies',
    });
  }
  if (target.cloned)
    findings.push({
      code: 'target_cloned',
      message: `two machines answer as ${name}: their data dirs are copies of one`,
      next: 'stop one of them',
    });
  if (target.kind === 'peer' && target.asked !== null) {
    const ageNs = nowNs - BigInt(Date.parse(target.asked)) * 1_000_000n;
    if (ageNs > SILENT_NS)
      findings.push({
        code: 'target_silent',
        message: `${name} last said at ${target.asked} what it has${target.not_asked === null ? '' : `; now: ${target.not_asked}`}`,
        since: target.asked,
        next: 'asked again with the next pass',
      });
  }
  return findings;
}

/** Without an agent nothing is tried again by itself. */
function nextTryOf(
  { next_try }: StatusTarget,
  { agent, roots, targets }: Pick<StatusData, 'agent' | 'roots' | 'targets'>,
  nowNs: bigint,
): string {
  if (agent.running) {
    const isComing = next_try !== null && BigInt(Date.parse(next_try)) * 1_000_000n > nowNs;
    return isComing ? `tried again at ${next_try}` : 'tried again with the next pass';
  }
  const sites = Math.max(0, ...roots.map((root) => root.sites?.want ?? 0));
  const hasBucket = targets.some(({ kind, scope }) => kind === 'bucket' && scope === 'all');
  if (sites === 0 && !hasBucket) return 'no agent runs: edgestore agent run tries again';
  return `no agent runs: edgestore sync --wait ${sites === 0 ? 's3' : `sites=${sites}`} tries again`;
}

const LOSS_TEXT = { damaged: 'are damaged', absent: 'are gone', unreadable: 'cannot be read' } as const;

function problemOfLoss({ store, reason, chunks, nowhere, since, why }: StatusLoss): Found {
  const place = store === 'local' ? "this agent's disk" : `the store ${store}`;
  const others = nowhere === 0 ? 'of each this agent has another copy' : `${nowhere} have no other copy of this agent`;
  return {
    code: reason === 'absent' ? 'lost_copies' : reason === 'damaged' ? 'damaged_copies' : 'unreadable_copies',
    message: `${chunks} chunks in ${place} ${LOSS_TEXT[reason]} (${why}); ${others}`,
    since,
    next: 'edgestore scrub --all names the files, --repair fetches copies from other stores; edgestore sync stores again what files still have',
  };
}

function problemOfHolds(holds: StatusHolds): Found {
  const { since } = holds;
  if (holds.own) {
    return {
      code: 'own_chunks_lost',
      message: `of this agent's own chunks in its store, ${textOf(holds)}`,
      since,
      next: 'edgestore scrub --repair fetches them from other stores; edgestore sync --full-scan stores again what files still have',
    };
  }
  return {
    code: 'held_chunks_missing',
    message: `of the chunks that ${holds.name} holds here, ${textOf(holds)}`,
    since,
    next: `${holds.name} is told, and sends them again with its next pass`,
  };
}

function problemOfCheckpoint({ name, own, shard, verdict, message, since }: StatusCheckpoint): Found {
  if (verdict === 'unmade')
    return {
      code: 'checkpoint_unmade',
      message: `shard ${shard} of this agent got no hold checkpoint, because chain files and index differ: ${message}`,
      since,
      next: 'edgestore scrub --all --repair makes the index again from the files; the next sync makes the checkpoint',
    };
  return {
    code: 'checkpoint_false',
    message: `a hold checkpoint of ${own ? 'this agent' : name} (shard ${shard}) is false: ${message}`,
    since,
    next: own
      ? 'edgestore scrub --all --repair here; another checkpoint is written'
      : `nothing here follows it; ${name} is told, and writes another one`,
  };
}

function textOf({ wanted, lost, unreadable }: StatusLacks): string {
  const parts = [
    ...(lost > 0 ? [`${lost} are lost`] : []),
    ...(unreadable > 0 ? [`${unreadable} cannot be read`] : []),
    ...(wanted > 0 ? [`${wanted} have not come`] : []),
  ];
  return parts.join(', ');
}
