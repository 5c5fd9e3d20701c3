/** A chunk that a store wants, and of which no listed form can be sent: the form of the copy here is listed behind the others (docs/chain.md 2.11). */
import type { Form } from '../chain/forms.ts';
import { type ChunkId, toHex } from '../core/ids.ts';
import type { ReplicateDeps } from './replicate-deps.ts';

/** No more forms of one chunk are listed. */
const FORMS_OF_A_CHUNK_MAX = 4;

/** True when something was listed: it is durable then, and the store has entries to get. */
export async function listFurther(
  ids: readonly ChunkId[],
  { chain, chains, index, self }: Pick<ReplicateDeps, 'chain' | 'chains' | 'index' | 'self'>,
): Promise<boolean> {
  const listed = chains.heldForms(self.agentId, ids);
  const open = ids.filter((_, i) => listed[i]!.length > 0 && listed[i]!.length < FORMS_OF_A_CHUNK_MAX);
  const copies = index.chunks.locate(open);
  const byShard = new Map<number, Map<string, Form>>();
  for (const [i, holds] of chains.holdsOf(self.agentId, open).entries()) {
    const copy = copies[i]?.[0];
    if (copy === undefined) continue;
    const { id, keyId, sealedBytes, sealedSha256, packClass } = copy;
    for (const { shard } of holds) {
      const forms = byShard.get(shard) ?? new Map<string, Form>();
      byShard.set(shard, forms.set(toHex(id), { id, keyId, sealedBytes, sealedSha256, formClass: packClass }));
    }
  }
  for (const [shard, forms] of byShard) await chain.add(shard, [...forms.values()], { listsFurther: true });
  if (byShard.size > 0) await chain.sync();
  return byShard.size > 0;
}
