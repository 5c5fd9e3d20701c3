/** "Placed at T" of docs/chain.md 5.5, computed from the newest answers: added seq at or below whole, or applied and not in the list that came along. */
import { isPlaced } from '../chain/listed.ts';
import type { AgentId, ChunkId } from '../core/ids.ts';
import type { ChunkIndex } from '../core/ports/index.ts';
import type { Member } from '../core/ports/peer.ts';
import type { Chains } from '../ports/chains.ts';
import type { Placed, PlacedAt } from '../ports/placed.ts';
import type { Answers, PeerAnswer } from './answers.ts';
import type { Target } from './targets.ts';

export interface PlacedDeps {
  readonly self: { readonly agentId: AgentId; readonly incarnation: number };
  readonly chains: Pick<Chains, 'isOnTrail' | 'holdsOf'>;
  readonly answers: Answers;
  readonly chunks: Pick<ChunkIndex, 'addresses'>;
  readonly targets: () => readonly Target[];
}

export function createPlaced(deps: PlacedDeps): Placed {
  const placedAt = (target: Target, ids: readonly ChunkId[]): { there: Uint8Array; askedNs: bigint } => {
    const there = new Uint8Array(ids.length);
    if (target.type === 'bucket') {
      const found = deps.chunks.addresses(target.store, ids);
      // A copy that is marked is a place to try, and is not there.
      for (const [i, address] of found.entries())
        there[i] = address === undefined || address.marked !== undefined ? 0 : 1;
      return { there, askedNs: deps.answers.ofBucket(target.target)?.askedNs ?? 0n };
    }
    const answer = answerOf(target.member, deps);
    if (answer === undefined) return { there, askedNs: 0n };
    const holds = deps.chains.holdsOf(deps.self.agentId, ids);
    for (const [i, id] of ids.entries()) if (holds[i]!.some((hold) => isPlaced(id, hold, answer))) there[i] = 1;
    return { there, askedNs: answer.askedNs };
  };
  return {
    placed: (name, ids) => {
      const target = deps.targets().find((one) => one.target === name);
      return target === undefined ? new Uint8Array(ids.length) : placedAt(target, ids).there;
    },
    targetsOf: (ids) => {
      const out: PlacedAt[][] = ids.map(() => []);
      for (const target of deps.targets()) {
        const { there, askedNs } = placedAt(target, ids);
        for (let i = 0; i < ids.length; i++) if (there[i] === 1) out[i]!.push({ target: target.target, askedNs });
      }
      return out;
    },
  };
}

function answerOf(member: Member, { answers, chains, self }: PlacedDeps): PeerAnswer | undefined {
  const answer = answers.ofPeer(member);
  const position = answer?.statement.position;
  if (position === undefined || position.incarnation !== self.incarnation) return undefined;
  return chains.isOnTrail(self.agentId, position) ? answer : undefined;
}
