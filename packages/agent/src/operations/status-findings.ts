/** What in a status needs somebody's attention. */
import type {
  StatusCheckpoint,
  StatusData,
  StatusHolds,
  StatusLacks,
  StatusLoss,
  StatusRoot,
  StatusTarget,
} from './status.ts';

export interface StatusFinding {
  readonly code: string;
  readonly message: string;
  /** Since when it is so, where that is known. */
  readonly since?: string;
  /** What happens by itself, or what to do. */
  readonly next?: string;
}

/** A target that said nothing for so long may have lost anything. */
const SILENT_NS = 86_400_000_000_000n;

export function findingsOf(status: Omit<StatusData, 'findings'>, nowNs: bigint): StatusFinding[] {
  const { store } = status;
  const findings: StatusFinding[] = [];
  const add = (code: string, message: string, more: Pick<StatusFinding, 'since' | 'next'> = {}): void =>
    void findings.push({ code, message, ...more });
  if (status.put_back !== null) {
    add(
      'put_back',
      `this machine was put back to an older state, or copied: ${status.put_back.shown_by} has entries with its signature that are not here. Nothing is sent to any store`,
      { since: status.put_back.since, next: 'edgestore recover, into a new data dir' },
    );
  }
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
  for (const target of status.targets) findings.push(...problemsOfTarget(target, nowNs));
  for (const holds of status.holds.filter((one) => one.finding)) findings.push(problemOfHolds(holds));
  for (const { name, message, since } of status.chain_problems)
    add('damaged_chain', `the chain of ${name} here: ${message}`, {
      since,
      next: 'edgestore scrub --all --repair; a copy of another agent is mended when its owner sends again, too',
    });
  findings.push(...status.checkpoints.map(problemOfCheckpoint));
  for (const target of status.targets.filter((one) => one.kind === 'bucket' && one.scope === 'meta')) {
    add(
      'bucket_incomplete',
      `the bucket ${target.name} is only a cold tier: it holds no complete snapshot, so it alone cannot bring everything back`,
    );
  }
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
  return findings;
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

function problemsOfTarget(target: StatusTarget, nowNs: bigint): StatusFinding[] {
  const findings: StatusFinding[] = [];
  const { name, lacks } = target;
  if (target.last_error !== null) {
    findings.push({
      code: 'target_failing',
      message: `${name} (${target.attempts} tries): ${target.last_error}`,
      ...(target.pending_since === null ? {} : { since: target.pending_since }),
      ...(target.next_try === null ? {} : { next: `tried again at ${target.next_try}` }),
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

const LOSS_TEXT = { damaged: 'are damaged', absent: 'are gone', unreadable: 'cannot be read' } as const;

function problemOfLoss({ store, reason, chunks, nowhere, since, why }: StatusLoss): StatusFinding {
  const place = store === 'local' ? "this agent's disk" : `the store ${store}`;
  const others = nowhere === 0 ? 'of each this agent has another copy' : `${nowhere} have no other copy of this agent`;
  return {
    code: reason === 'absent' ? 'lost_copies' : reason === 'damaged' ? 'damaged_copies' : 'unreadable_copies',
    message: `${chunks} chunks in ${place} ${LOSS_TEXT[reason]} (${why}); ${others}`,
    since,
    next: 'edgestore scrub --all names the files, --repair fetches copies from other stores; edgestore sync stores again what files still have',
  };
}

function problemOfHolds(holds: StatusHolds): StatusFinding {
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

function problemOfCheckpoint({ name, own, shard, verdict, message, since }: StatusCheckpoint): StatusFinding {
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
