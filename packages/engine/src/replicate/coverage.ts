/** Which targets cover a snapshot, by their newest answers (docs/chain.md 5.3, 5.4). */
import { type CoveredStore, coverGap } from '../chain/cover.ts';
import { encodeUnsatisfiedList, type ListedIds, listedIds, UNSATISFIED_IDS_MAX } from '../chain/unsatisfied-list.ts';
import { asBuffer, bytesEqual } from '../core/bytes.ts';
import type { AgentId, ChunkId } from '../core/ids.ts';
import { LAYOUT_VERSION } from '../core/limits.ts';
import type { SnapshotRow, TargetId } from '../core/ports/index.ts';
import type { BucketIndex } from '../ports/bucket-index.ts';
import type { Chains } from '../ports/chains.ts';
import type { Answers } from './answers.ts';
import type { ReachMeets } from './reach-meets.ts';
import type { Target } from './targets.ts';

export interface CoverageDeps {
  readonly self: { readonly agentId: AgentId; readonly incarnation: number };
  readonly chains: Pick<Chains, 'isOnTrail' | 'forms'>;
  readonly answers: Answers;
  readonly buckets: Pick<BucketIndex, 'lacking'>;
  readonly reachMeets: ReachMeets;
}

export interface Covered {
  readonly target: Target;
  readonly store: CoveredStore;
}

/** Of the given targets, which are the ranked ones of the present layout. */
export async function coveringTargets(
  snapshot: SnapshotRow,
  targets: readonly Target[],
  deps: CoverageDeps,
  signal?: AbortSignal,
): Promise<Covered[]> {
  const covered: Covered[] = [];
  if (snapshot.branch || snapshot.damaged) return covered;
  for (const target of targets) {
    const store =
      target.type === 'peer'
        ? await coveringPeer(snapshot, target, deps, signal)
        : await coveringBucket(snapshot, target, deps, signal);
    if (store !== undefined) covered.push({ target, store });
  }
  return covered;
}

async function coveringPeer(
  snapshot: SnapshotRow,
  { member }: Extract<Target, { type: 'peer' }>,
  deps: CoverageDeps,
  signal: AbortSignal | undefined,
): Promise<CoveredStore | undefined> {
  const answer = deps.answers.ofPeer(member);
  if (answer === undefined) return undefined;
  const gapWhen = (meets: boolean) =>
    coverGap({
      snapshot,
      answer,
      owner: {
        incarnation: deps.self.incarnation,
        layoutVersion: LAYOUT_VERSION,
        isOnTrail: (position) => deps.chains.isOnTrail(deps.self.agentId, position),
      },
      isRanked: true,
      reachMeets: () => meets,
    });
  if (gapWhen(false) !== undefined) return undefined;
  if (gapWhen(true) !== undefined) {
    // The list decides: it is here, and whether the snapshot reaches any of it takes a walk.
    const stated = answer.statement.shards.find(({ shard }) => shard === snapshot.shard)!;
    const list = answer.lists.get(snapshot.shard)!;
    if (await deps.reachMeets(snapshot, list, stated.listDigest, signal)) return undefined;
  }
  const { statement } = answer;
  return {
    type: 'peer',
    agent: member.agent,
    storeId: statement.storeId,
    site: member.site,
    backing: statement.backing.filter(({ shards }) => shards.includes(snapshot.shard)).map(({ location }) => location),
  };
}

async function coveringBucket(
  snapshot: SnapshotRow,
  { target, scope }: Extract<Target, { type: 'bucket' }>,
  deps: CoverageDeps,
  signal: AbortSignal | undefined,
): Promise<CoveredStore | undefined> {
  const belief = deps.answers.ofBucket(target);
  if (scope !== 'all' || belief === undefined || belief.askedSeq < snapshot.seq) return undefined;
  const { position, storeId, location } = belief;
  const isWhole =
    position !== undefined && position.seq >= snapshot.seq && deps.chains.isOnTrail(deps.self.agentId, position);
  if (!isWhole) {
    const list = lackingList(target, deps);
    const key = `${target}/${belief.askedNs}/${belief.askedSeq}`;
    if (list === undefined || (await deps.reachMeets(snapshot, list, key, signal))) return undefined;
  }
  return { type: 'bucket', storeId, location };
}

/** Ids that the bucket lacks, sorted; undefined when there are too many to look at. */
function lackingList(target: TargetId, { buckets, chains, self }: CoverageDeps): ListedIds | undefined {
  const ids: ChunkId[] = [];
  for (let afterSeq = 0; ; ) {
    const page = buckets.lacking(target, afterSeq, 4);
    const last = page.at(-1);
    if (last === undefined) break;
    afterSeq = last.seq;
    for (const { seq, positions } of page)
      for (const { id } of chains.forms(self.agentId, seq, positions)) ids.push(id);
    if (ids.length > UNSATISFIED_IDS_MAX) return undefined;
  }
  ids.sort((a, b) => asBuffer(a).compare(b));
  // A chunk that two shards hold is there twice.
  const once = ids.filter((id, i) => i === 0 || !bytesEqual(id, ids[i - 1]!));
  return listedIds(encodeUnsatisfiedList(once.map((id) => ({ id, reason: 'lost' }))));
}
