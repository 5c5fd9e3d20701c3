/**
 * Makes the hold state of a chain in the index again from its files (docs/chain.md 1.6), where a scrub found that they differ. It is one transaction: a chunk
 * that no row holds for a moment could be taken for released.
 */
import { EdgeError } from '../../core/errors.ts';
import type { MissingReason } from '../../ports/chain-index.ts';
import { applyWaiting } from './apply-entries.ts';
import type { FollowedChain } from './followed-chain.ts';
import { joinFromFiles } from './join-shard.ts';

/** E_INTEGRITY, and nothing changed, where a body that was applied before cannot be read now. */
export function remakeHolds(chain: FollowedChain): Promise<void> {
  return chain.turn(() => remake(chain));
}

async function remake(chain: FollowedChain): Promise<void> {
  if (chain.blocked !== undefined) throw chain.blocked;
  await chain.recover();
  const { row, deps } = chain;
  if (row === undefined) return;
  const { chain: number } = row;
  const { index } = deps;
  // What the index called satisfied and is not here was stated to others.
  deps.raiseEpoch();
  index.transaction(() => {
    const shards = index.holds.shards(number).map(({ shard }) => shard);
    const reasons = new Map(shards.map((shard) => [shard, reasonsOf(chain, number, shard)]));
    const joined = new Set(shards.filter((shard) => index.holds.baseOf(number, shard) > 0));
    const waited = new Map(shards.map((shard) => [shard, firstWaiting(chain, number, shard)]));
    index.holds.clear(number);
    for (const shard of shards) index.holds.noteShard(number, shard);
    index.chainTable.makeAllWait(number);
    for (const shard of index.chainTable.waitingShards(number)) {
      applyWaiting(number, shard, reasons.get(shard) ?? 'lost', deps);
      const first = firstWaiting(chain, number, shard);
      if (first !== waited.get(shard) && !joined.has(shard))
        throw new EdgeError('E_INTEGRITY', `the body of entry ${first} in ${chain.folder} cannot be read`, {
          hint: 'The index was left as it is. `edgestore scrub --all --repair` mends the chain first.',
        });
    }
  });
  // Where parts are damaged too, the shard waits for its owner to send them again.
  for (const shard of index.chainTable.waitingShards(number)) await joinFromFiles(row, shard, 'lost', deps);
}

/** Why rows are not satisfied stays, where they come back at their places. What was called satisfied and is not here was lost. */
function reasonsOf({ deps }: FollowedChain, chain: number, shard: number): MissingReason {
  const rows = deps.index.holds.unsatisfied(chain, shard, 0, Number.MAX_SAFE_INTEGER);
  const known = new Map(rows.map(({ seq, position, reason }) => [`${seq}/${position}`, reason]));
  return (seq, position) => known.get(`${seq}/${position}`) ?? 'lost';
}

function firstWaiting({ deps }: FollowedChain, chain: number, shard: number): number | undefined {
  return deps.index.chainTable.waiting(chain, shard, 1)[0]?.seq;
}
