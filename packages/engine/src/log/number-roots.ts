import type { RootSetting } from './record-body.ts';

/**
 * Gives each root its shard: the one that it had, or the next number. A number is never given twice, because holds of a root that is gone stay in its
 * shard until they are released.
 *
 * @param known the roots of the newest settings
 * @param highestShard the highest shard that any entry of the chain names, 0 for none
 */
export function numberRoots(
  roots: readonly Omit<RootSetting, 'shard'>[],
  known: readonly RootSetting[],
  highestShard: number,
): RootSetting[] {
  const shards = new Map(known.map(({ name, shard }) => [name, shard]));
  let last = Math.max(highestShard, 0, ...shards.values());
  return roots.map(({ name, path }) => ({ name, path, shard: shards.get(name) ?? ++last }));
}
