/** Where an owner's chunks are to lie: its holders by rendezvous hashing, the bucket of its policy, and the buckets that are cold tiers. */
import type { AgentId } from '../core/ids.ts';
import type { StoreName, TargetId } from '../core/ports/index.ts';
import type { Member } from '../core/ports/peer.ts';
import { rankHolders } from '../placement/rank-holders.ts';

export interface ReplicationPolicy {
  /** Stores besides the owner's own. */
  readonly copies: number;
  readonly sites: number;
  /** A bucket that counts as one copy and one site. */
  readonly store: StoreName | undefined;
}

export type Target =
  | { readonly type: 'peer'; readonly target: TargetId; readonly member: Member }
  | { readonly type: 'bucket'; readonly target: TargetId; readonly store: StoreName; readonly scope: 'all' | 'meta' };

export function planTargets(input: {
  readonly owner: AgentId;
  readonly members: readonly Member[];
  readonly policy: ReplicationPolicy;
  /** Stores that are a cold tier: trees and log go there always, so that it is known what lies in it. */
  readonly coldStores: readonly StoreName[];
}): Target[] {
  const { policy, owner } = input;
  const inBucket = policy.store === undefined ? 0 : 1;
  const holders = input.members.filter((member) => member.role === 'holder');
  const spread = { copies: Math.max(0, policy.copies - inBucket), sites: Math.max(0, policy.sites - inBucket) };
  const chosen = spread.copies === 0 ? [] : rankHolders(owner, holders, spread);
  const targets: Target[] = chosen.map((agent) => ({
    type: 'peer',
    target: agent,
    member: holders.find((member) => member.agent === agent)!,
  }));
  if (policy.store !== undefined)
    targets.push({ type: 'bucket', target: `store:${policy.store}`, store: policy.store, scope: 'all' });
  for (const store of new Set(input.coldStores)) {
    if (store !== policy.store) targets.push({ type: 'bucket', target: `store-meta:${store}`, store, scope: 'meta' });
  }
  return targets;
}

/** One policy for the whole owner, since a holder takes an owner as a whole: the most that any of its roots asks for. */
export function widestPolicy(policies: readonly ReplicationPolicy[]): ReplicationPolicy {
  return {
    copies: Math.max(0, ...policies.map((policy) => policy.copies)),
    sites: Math.max(0, ...policies.map((policy) => policy.sites)),
    store: policies.find((policy) => policy.store !== undefined)?.store,
  };
}
