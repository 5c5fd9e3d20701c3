/**
 * Parts of a hold checkpoint for a holder that is new or far behind (docs/chain.md 8.1). The holder says whether it
 * takes them in the place of bodies, and what it found of the newest checkpoint.
 */
import type { PeerLink } from '../core/ports/peer.ts';
import type { ReplicateDeps } from './replicate-deps.ts';

type PartsDeps = Pick<ReplicateDeps, 'chains' | 'index' | 'onFalseCheckpoint' | 'self'>;

/** The newest own checkpoint that the holder proved or took, by target and shard. */
const confirmedKey = (target: string, shard: number): string => `checkpoint.${target}.${shard}`;

/** Own shards whose newest checkpoint the holder has not said anything of yet. */
export function shardsToConfirm(target: string, { chains, index, self }: PartsDeps): number[] {
  return chains.shards(self.agentId).flatMap(({ shard }) => {
    const newest = chains.parts.newest(self.agentId, shard);
    return newest === undefined || index.kv.get(confirmedKey(target, shard)) === String(newest.seq) ? [] : [shard];
  });
}

/** Sends what the holder takes. Where a part is not here any more, the bodies are sent instead. */
export async function sendParts(link: PeerLink, shard: number, deps: PartsDeps, signal?: AbortSignal): Promise<void> {
  const { chains, self } = deps;
  const { seq, lacking, judged } = await link.wantedParts(self.agentId, shard, signal);
  noteJudgement(link, shard, judged, deps);
  if (seq === 0 || chains.parts.newest(self.agentId, shard)?.seq !== seq) return;
  for (const byte of lacking) {
    const part = await chains.parts.read(self.agentId, shard, seq, byte);
    if (part === undefined) return;
    await link.sendPart(self.agentId, { shard, seq, byte }, part, signal);
  }
  await link.joinByParts(self.agentId, shard, seq, signal);
}

function noteJudgement(
  link: PeerLink,
  shard: number,
  judged: { readonly seq: number; readonly verdict: string } | undefined,
  { chains, index, onFalseCheckpoint, self }: PartsDeps,
): void {
  if (judged === undefined || judged.seq !== chains.parts.newest(self.agentId, shard)?.seq) return;
  if (judged.verdict === 'false') onFalseCheckpoint?.({ shard, seq: judged.seq, by: link.name });
  else index.kv.set(confirmedKey(link.agent, shard), String(judged.seq));
}
