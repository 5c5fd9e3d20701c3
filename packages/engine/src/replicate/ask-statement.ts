/** One question to one holder: what it has of this agent. The answer is verified, and noted only after it proved to be of the own trail. */
import { type Statement, verifyStatement } from '../chain/statement.ts';
import { type ListedIds, NO_LIST, requireListOf } from '../chain/unsatisfied-list.ts';
import { bytesEqual } from '../core/bytes.ts';
import { EdgeError } from '../core/errors.ts';
import type { TargetId } from '../core/ports/index.ts';
import type { Member, PeerLink } from '../core/ports/peer.ts';
import type { PeerBelief } from '../ports/beliefs.ts';
import { noteStart } from './clones.ts';
import type { ReplicateDeps } from './replicate-deps.ts';

export interface AskedStatement {
  readonly statement: Statement;
  /** Lists by shard, where they are made. */
  readonly lists: ReadonlyMap<number, ListedIds>;
  readonly belief: PeerBelief;
}

/** Asks with a fresh nonce, lists included. Nothing is noted yet. E_INTEGRITY for an answer that is not this holder's to this question. */
export async function askStatement(
  member: Member,
  link: Pick<PeerLink, 'statement' | 'label'>,
  deps: ReplicateDeps,
  signal?: AbortSignal,
): Promise<AskedStatement> {
  const { self, clock } = deps;
  // Read before the question is put: what is appended later is not covered by the answer.
  const askedSeq = deps.chain.position()?.seq ?? 0;
  const askedNs = clock.nowNs();
  const nonce = deps.random(32);
  const known = deps.index.beliefs.get(member.agent);
  const answer = await link.statement(
    {
      owner: self.agentId,
      nonce,
      wantsLists: true,
      shown: known?.kind === 'peer' && known.statement.length > 0 ? known.statement : undefined,
    },
    signal,
  );
  const statement = verifyStatement(deps.sodium, answer.statement, member.signPublicKey);
  const isAnswer =
    statement.vault === deps.vault &&
    statement.holder === member.agent &&
    statement.holderIncarnation === member.incarnation &&
    statement.owner === self.agentId &&
    bytesEqual(statement.nonce, nonce);
  if (!isAnswer) throw new EdgeError('E_INTEGRITY', `${link.label} answered with a statement about something else`);
  if (answer.lists.length !== statement.shards.length)
    throw new EdgeError(
      'E_INTEGRITY',
      `${link.label} sent ${answer.lists.length} lists for ${statement.shards.length} shards`,
    );
  // Where a statement names shards that the own chain does not have, no list is kept: it is of another chain (2.7), or
  // a lie that costs memory.
  const own = new Set(deps.chains.shards(self.agentId).map(({ shard }) => shard));
  const lists = new Map<number, ListedIds>();
  for (const [i, shard] of statement.shards.entries())
    if (own.has(shard.shard) && shard.listDigest !== NO_LIST)
      lists.set(shard.shard, requireListOf(shard, answer.lists[i]!));
  return {
    statement,
    lists,
    belief: {
      kind: 'peer',
      askedSeq,
      askedNs,
      statement: answer.statement,
      lists: statement.shards.every(({ shard }) => own.has(shard)) ? answer.lists : [],
    },
  };
}

/** Makes the answer the belief about the target: a later one replaces it as a whole. */
export function noteBelief(target: TargetId, { statement, belief }: AskedStatement, deps: ReplicateDeps): void {
  noteStart(target, statement, deps.index.kv);
  deps.index.beliefs.set(target, belief);
}
