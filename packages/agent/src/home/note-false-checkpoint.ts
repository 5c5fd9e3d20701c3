import type { Engine } from '@edgestore/engine';

/** A holder made other parts from the own chain than a checkpoint names: a finding here, until a later one is made. */
export function noteFalseCheckpoint({ index, identity, clock }: Engine, shard: number, seq: number, by: string): void {
  const chain = index.chainTable.followed(identity.agentId);
  if (chain === undefined || index.checked.get(chain.chain, shard)?.verdict === 'false') return;
  index.checked.set({
    chain: chain.chain,
    shard,
    seq,
    verdict: 'false',
    message: `${by} made other parts from the same entries`,
    notedNs: clock.nowNs(),
  });
}
