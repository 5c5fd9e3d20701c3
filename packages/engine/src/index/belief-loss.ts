/** Whether a newer answer of a target says that it lost something that was believed to be there: then chunks that are away may be missing (docs/chain.md 2.2). */
import { decodeStatement, type Statement } from '../chain/statement.ts';
import { isEdgeError } from '../core/errors.ts';
import type { Belief, BeliefIndex } from '../ports/beliefs.ts';

/** The same beliefs, with `onLoss` called in front of each change that takes something away. */
export function watchBeliefs(beliefs: BeliefIndex, onLoss: () => void): BeliefIndex {
  return {
    get: beliefs.get,
    set: (target, belief) => {
      const before = beliefs.get(target);
      if (before !== undefined && saysLess(before, belief)) onLoss();
      beliefs.set(target, belief);
    },
    delete: (target) => {
      if (beliefs.get(target) !== undefined) onLoss();
      beliefs.delete(target);
    },
  };
}

function saysLess(before: Belief, after: Belief): boolean {
  if (before.kind === 'bucket' || after.kind === 'bucket') {
    if (before.kind !== 'bucket' || after.kind !== 'bucket' || before.storeId !== after.storeId) return true;
    return (before.position?.seq ?? 0) > (after.position?.seq ?? 0);
  }
  const [old, now] = [statementOf(before.statement), statementOf(after.statement)];
  if (old === undefined || now === undefined) return old !== undefined;
  if (old.storeId !== now.storeId || old.epoch !== now.epoch || old.holderIncarnation !== now.holderIncarnation)
    return true;
  if ((old.position?.seq ?? 0) > (now.position?.seq ?? 0)) return true;
  return old.shards.some((shard) => {
    const same = now.shards.find((one) => one.shard === shard.shard);
    if (same === undefined || same.applied < shard.applied) return true;
    return same.whole < shard.whole || same.lost > shard.lost || same.unreadable > shard.unreadable;
  });
}

/** Beliefs were verified when they came. Undefined for one that another program noted. */
function statementOf(bytes: Uint8Array): Statement | undefined {
  try {
    return decodeStatement(bytes);
  } catch (error) {
    if (!isEdgeError(error, 'E_FORMAT', 'E_NEWER_FORMAT', 'E_INTEGRITY')) throw error;
    return undefined;
  }
}
