/** Beliefs about targets, read: a statement whose signature still verifies, with its lists. Kept in memory, since status and waiting ask often. */
import type { Answer } from '../chain/cover.ts';
import { verifyStatement } from '../chain/statement.ts';
import { type ListedIds, NO_LIST, requireListOf } from '../chain/unsatisfied-list.ts';
import type { Sodium } from '../codec/sodium.ts';
import { isEdgeError } from '../core/errors.ts';
import type { TargetId } from '../core/ports/index.ts';
import type { Member } from '../core/ports/peer.ts';
import type { Belief, BeliefIndex, BucketBelief } from '../ports/beliefs.ts';

export interface PeerAnswer extends Answer {
  readonly askedNs: bigint;
}

export interface Answers extends BeliefIndex {
  /** The newest statement of a member; undefined when there is none, or when it was signed by an earlier incarnation of it. */
  ofPeer(member: Member): PeerAnswer | undefined;
  ofBucket(target: TargetId): BucketBelief | undefined;
}

export function createAnswers(index: BeliefIndex, sodium: Sodium): Answers {
  const beliefs = new Map<TargetId, Belief | undefined>();
  const answers = new Map<TargetId, { readonly belief: Belief; readonly answer: PeerAnswer | undefined }>();
  const get = (target: TargetId): Belief | undefined => {
    if (!beliefs.has(target)) beliefs.set(target, index.get(target));
    return beliefs.get(target);
  };
  return {
    get,
    set: (target, belief) => {
      index.set(target, belief);
      beliefs.set(target, belief);
    },
    delete: (target) => {
      index.delete(target);
      beliefs.set(target, undefined);
    },
    ofPeer: (member) => {
      const belief = get(member.agent);
      if (belief?.kind !== 'peer') return undefined;
      const known = answers.get(member.agent);
      if (known?.belief === belief) return known.answer;
      const answer = readAnswer(belief, member, sodium);
      answers.set(member.agent, { belief, answer });
      return answer;
    },
    ofBucket: (target) => {
      const belief = get(target);
      return belief?.kind === 'bucket' ? belief : undefined;
    },
  };
}

function readAnswer(belief: Extract<Belief, { kind: 'peer' }>, member: Member, sodium: Sodium): PeerAnswer | undefined {
  try {
    const statement = verifyStatement(sodium, belief.statement, member.signPublicKey);
    if (statement.holder !== member.agent || statement.holderIncarnation !== member.incarnation) return undefined;
    const lists = new Map<number, ListedIds>();
    for (const [i, shard] of statement.shards.entries()) {
      const list = belief.lists[i];
      if (shard.listDigest !== NO_LIST && list !== undefined) lists.set(shard.shard, requireListOf(shard, list));
    }
    return { statement, askedAtSeq: belief.askedSeq, lists, askedNs: belief.askedNs };
  } catch (error) {
    // Signed by a key that the member has no more, or noted by another program: nothing is believed, and the next pass asks.
    if (isEdgeError(error, 'E_INTEGRITY', 'E_FORMAT', 'E_NEWER_FORMAT')) return undefined;
    throw error;
  }
}
