import { STATED_SHARDS_MAX } from '../chain/statement.ts';
import { EdgeError } from '../core/errors.ts';
import type { RootSetting } from './record-body.ts';

/** No statement names more shards: a later root could be replicated to nobody. */
const ROOTS_OF_A_LIFE_MAX = STATED_SHARDS_MAX;

/**
 * Gives each root its shard: the one that it had, or the next number. A number is never given twice, because holds of a root that is gone stay in its
 * shard until they are released. E_LIMIT beyond 1,024.
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
  return roots.map(({ name, path }) => {
    const shard = shards.get(name) ?? ++last;
    if (shard > ROOTS_OF_A_LIFE_MAX)
      throw new EdgeError(
        'E_LIMIT',
        `root ${name} would be the ${shard}th that this agent ever had: there can be ${ROOTS_OF_A_LIFE_MAX}`,
        {
          hint: 'Watch a folder above several roots in their place, or let another agent watch it.',
          context: { root: name },
        },
      );
    return { name, path, shard };
  });
}
