/** What in a status needs somebody's attention. */
import type { StatusData, StatusRoot } from './status.ts';

export interface StatusFinding {
  readonly code: string;
  readonly message: string;
}

export function findingsOf(status: Omit<StatusData, 'findings'>): StatusFinding[] {
  const { store } = status;
  const findings: StatusFinding[] = [];
  const add = (code: string, message: string): void => void findings.push({ code, message });
  if (status.roots.length === 0 && store.held_for_others === 0)
    add('no_roots', 'nothing is protected yet: edgestore sync FOLDER');
  for (const root of status.roots) for (const [code, message] of problemsOf(root)) add(code, message);
  for (const target of status.targets) {
    if (target.last_error !== null)
      add('target_failing', `${target.name} (${target.attempts} tries): ${target.last_error}`);
  }
  for (const target of status.targets.filter((one) => one.kind === 'bucket' && one.scope === 'meta')) {
    add(
      'bucket_incomplete',
      `the bucket ${target.name} is only a cold tier: it holds no complete snapshot, so it alone cannot bring everything back`,
    );
  }
  if (store.bad_copies > 0)
    add(
      'damaged_copies',
      `${store.bad_copies} copies in this agent's store are damaged or missing: edgestore scrub --all`,
    );
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
