/** Which end of the chain a recovery goes on from. */
import { formatTimeNs } from '../core/clock.ts';
import { EdgeError } from '../core/errors.ts';
import type { GatheredEntry } from './gather-chain.ts';
import type { RecoverBranch, RecoverInput } from './recover-types.ts';

/**
 * `tips`: newest first. The newest incarnation counts, since its takeover chose among older ones. Where it has several ends, only the operator can say which
 * one goes on. E_FORK lists them; E_NOT_FOUND and E_AMBIGUOUS for a branch that is named.
 */
export function chooseTip(
  tips: readonly GatheredEntry[],
  { branch, isReadOnly }: Pick<RecoverInput, 'branch' | 'isReadOnly'>,
  describe: (chosen: undefined) => readonly RecoverBranch[],
): GatheredEntry | undefined {
  const [newest] = tips;
  if (branch !== undefined) {
    const wanted = tips.filter(({ link }) => link.startsWith(branch.toLowerCase()));
    if (wanted.length === 1) return wanted[0];
    throw new EdgeError(
      wanted.length === 0 ? 'E_NOT_FOUND' : 'E_AMBIGUOUS',
      `${wanted.length === 0 ? 'no' : 'more than one'} branch of the chain has an end that begins with ${branch}`,
      { hint: `Its ends: ${textOf(describe(undefined))}.`, context: { branches: dataOf(describe(undefined)) } },
    );
  }
  const rivals = tips.filter(({ incarnation }) => incarnation === newest?.incarnation);
  if (rivals.length < 2 || isReadOnly === true) return newest;
  const branches = describe(undefined).filter(({ tip }) => tip.incarnation === newest?.incarnation);
  throw new EdgeError(
    'E_FORK',
    `two machines wrote as this agent: its chain has ${rivals.length} ends: ${textOf(branches)}`,
    {
      hint: 'Nothing of them is lost. Say which one goes on with --branch; snapshots of the others stay listed and can be restored. --read-only lists all and chooses none.',
      context: { branches: dataOf(branches) },
    },
  );
}

function textOf(branches: readonly RecoverBranch[]): string {
  return branches
    .map(({ tip, name, snapshots, seenAt }) => {
      const newest = snapshots.at(-1);
      const last =
        newest === undefined
          ? 'no snapshot of its own'
          : `newest snapshot ${formatTimeNs(newest.timeNs)} of ${newest.root}`;
      return `${tip.link.slice(0, 8)} (${name}, ${tip.incarnation}/${tip.seq}, ${last}, at ${seenAt.join(', ') || 'no source’s end'})`;
    })
    .join('; ');
}

function dataOf(branches: readonly RecoverBranch[]): unknown[] {
  return branches.map(({ tip, base, name, site, snapshots, seenAt }) => ({
    branch: tip.link,
    incarnation: tip.incarnation,
    seq: tip.seq,
    base_seq: base?.seq ?? 0,
    name,
    site,
    snapshots: snapshots.length,
    newest_snapshot: snapshots.length === 0 ? null : formatTimeNs(snapshots.at(-1)!.timeNs),
    seen_at: seenAt,
  }));
}
