/** How entries of one agent from several sources follow one another: one tree of links, with a trail to choose in it, and pieces whose beginning nobody has. */
import type { Link, Position } from '../chain/position.ts';
import { ZERO_LINK } from '../chain/position.ts';

/** An entry as far as its place matters. */
export interface Placed {
  readonly link: Link;
  readonly previous: Link;
  readonly incarnation: number;
  readonly seq: number;
}

export interface ChainTree<Entry extends Placed> {
  /** Ends of chains that go back to a first entry: newest incarnation first, then the highest seq. */
  readonly tips: readonly Entry[];
  /** Entries behind a gap, in order: what they follow is in no source. */
  readonly loose: readonly Entry[];
}

export interface TreeBranch<Entry extends Placed> {
  readonly tip: Entry;
  /** The last entry that it shares with the trail. */
  readonly base: Position | undefined;
  /** Behind the base, up to and with the tip. */
  readonly entries: readonly Entry[];
}

export function chainTree<Entry extends Placed>(entries: ReadonlyMap<Link, Entry>): ChainTree<Entry> {
  const rooted = new Set<Link>();
  const followed = new Set<Link>();
  const children = new Map<Link, Entry[]>();
  for (const entry of entries.values()) {
    followed.add(entry.previous);
    const siblings = children.get(entry.previous);
    if (siblings === undefined) children.set(entry.previous, [entry]);
    else siblings.push(entry);
  }
  const open = (children.get(ZERO_LINK) ?? []).filter(({ seq }) => seq === 1);
  for (let entry = open.pop(); entry !== undefined; entry = open.pop()) {
    rooted.add(entry.link);
    for (const child of children.get(entry.link) ?? []) if (child.seq === entry.seq + 1) open.push(child);
  }
  const all = [...entries.values()];
  return {
    tips: all
      .filter(({ link }) => rooted.has(link) && !hasRootedChild(link))
      .sort(byAge)
      .reverse(),
    loose: all.filter(({ link }) => !rooted.has(link)).sort(byAge),
  };

  function hasRootedChild(link: Link): boolean {
    return followed.has(link) && (children.get(link) ?? []).some((child) => rooted.has(child.link));
  }
}

/** The entries up to and with this one, from the first on. */
export function trailTo<Entry extends Placed>(entries: ReadonlyMap<Link, Entry>, tip: Entry | undefined): Entry[] {
  const trail: Entry[] = [];
  for (let entry = tip; entry !== undefined; entry = entries.get(entry.previous)) trail.push(entry);
  return trail.reverse();
}

/** What the other tips have beside or behind the trail. */
export function branchesOf<Entry extends Placed>(
  entries: ReadonlyMap<Link, Entry>,
  tips: readonly Entry[],
  trail: readonly Entry[],
): TreeBranch<Entry>[] {
  const onTrail = new Set(trail.map(({ link }) => link));
  const branches: TreeBranch<Entry>[] = [];
  for (const tip of tips) {
    const beside: Entry[] = [];
    let entry: Entry | undefined = tip;
    for (; entry !== undefined && !onTrail.has(entry.link); entry = entries.get(entry.previous)) beside.push(entry);
    if (beside.length === 0) continue;
    const base = entry === undefined ? undefined : { incarnation: entry.incarnation, seq: entry.seq, link: entry.link };
    branches.push({ tip, base, entries: beside.reverse() });
  }
  return branches;
}

function byAge(a: Placed, b: Placed): number {
  return a.incarnation - b.incarnation || a.seq - b.seq || (a.link < b.link ? -1 : 1);
}
