/** The ends of an agent's chain, for people: when each machine took its last snapshot, what it is called, and who has it. */
import type { Link, Position } from '../chain/position.ts';
import type { Card } from '../keys/card.ts';
import { chainState } from './chain-state.ts';
import { trailTo } from './chain-tree.ts';
import type { GatheredEntry } from './gather-chain.ts';
import type { RecoverBranch } from './recover-types.ts';

/** `chosen` undefined: each end is described from the last entry that it shares with any other one. */
export function describeBranches(
  entries: ReadonlyMap<Link, GatheredEntry>,
  tips: readonly GatheredEntry[],
  chosen: GatheredEntry | undefined,
  deps: { readonly seenAt: ReadonlyMap<string, ReadonlySet<Link>>; readonly newestCard: Card },
): RecoverBranch[] {
  const trails = new Map(tips.map((tip) => [tip.link, trailTo(entries, tip)]));
  return tips.map((tip) => {
    const trail = trails.get(tip.link)!;
    const others = tips.filter((other) => (chosen === undefined ? other !== tip : other === chosen));
    const isChosen = tip === chosen;
    const shared = isChosen
      ? 0
      : sharedBy(
          trail,
          others.map(({ link }) => trails.get(link)!),
        );
    const own = trail.slice(shared);
    const card = trail.filter((entry) => entry.card !== undefined).at(-1)?.card ?? deps.newestCard;
    return {
      tip: positionOf(tip),
      base: shared === 0 ? undefined : positionOf(trail[shared - 1]!),
      isChosen,
      name: card.name,
      site: card.site,
      snapshots: chainState(own).snapshots.map(({ id, body }) => ({ id, root: body.root, timeNs: body.timeNs })),
      seenAt: [...deps.seenAt].filter(([, ends]) => ends.has(tip.link)).map(([label]) => label),
    };
  });
}

/** How many entries from the first on the trail has in common with one of the others. */
function sharedBy(trail: readonly GatheredEntry[], others: readonly (readonly GatheredEntry[])[]): number {
  let shared = 0;
  for (const other of others) {
    let same = 0;
    while (same < trail.length && trail[same] === other[same]) same++;
    shared = Math.max(shared, same);
  }
  return shared;
}

function positionOf({ incarnation, seq, link }: GatheredEntry): Position {
  return { incarnation, seq, link };
}
