/** Peers and buckets as places that entries of a chain can be had from. */
import { type ChainSource, decodeChainSegment, EdgeError } from '@edgestore/engine';
import type { AgentHome } from '../home/agent-home.ts';

/** Everyone that may have entries of any chain of the vault. */
export function chainSources({ peers, stores }: Pick<AgentHome, 'peers' | 'stores'>): ChainSource[] {
  const members = peers.members().flatMap((member): ChainSource[] => {
    const link = peers.link(member.agent);
    if (link === undefined) return member.role === 'holder' ? [unreachable(member.name)] : [];
    return [
      {
        label: link.label,
        async *entries(agent, { afterSeq, untilSeq }, signal) {
          for await (const entry of link.entries(agent, { afterSeq, bodies: 'all' }, signal)) {
            if (entry.head.header.seq > untilSeq) return;
            yield entry;
          }
        },
      },
    ];
  });
  const buckets = [...stores.values()].map(
    ({ vault, objects, requireIdentity }): ChainSource => ({
      label: objects.label,
      async *entries(agent, { afterSeq, untilSeq }, signal) {
        await requireIdentity(signal);
        for await (const segment of vault.segments(agent, signal === undefined ? {} : { signal })) {
          if (segment.last <= afterSeq || segment.first > untilSeq) continue;
          yield* decodeChainSegment(await vault.getSegment(segment, signal)).entries;
        }
        // The listing may be of another place than the identity: that there is no more is said after it.
        await requireIdentity(signal);
      },
    }),
  );
  return [...members, ...buckets];
}

/** A holder that cannot be asked may have what nobody else has. */
function unreachable(label: string): ChainSource {
  return {
    label,
    entries() {
      throw new EdgeError('E_STORE', 'no address of it is known', { retryable: true });
    },
  };
}
