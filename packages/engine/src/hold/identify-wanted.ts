/** Copies that are here already but do not satisfy yet: of another owner, or found by a rebuild. Where the key is, they are opened (docs/chain.md 3.8). */
import type { AgentId, ChunkId } from '../core/ids.ts';
import type { ChunkStore } from '../core/ports/chunk-store.ts';
import type { ChunkIndex, ChunkLocation } from '../core/ports/index.ts';
import type { Chains, FormsOfEntry } from '../ports/chains.ts';
import type { IdentifyFrames } from './identify-frames.ts';

export interface IdentifyDeps {
  readonly chains: Pick<Chains, 'forms'>;
  readonly chunks: Pick<ChunkStore, 'fetch'>;
  readonly index: {
    readonly chunks: Pick<ChunkIndex, 'locate' | 'markBad'> & { noteIdentified(id: ChunkId, pack: string): void };
  };
  readonly identify: IdentifyFrames | undefined;
}

/** True when a copy was identified, so that less is wanted than before. */
export async function identifyWanted(
  owner: AgentId,
  wanted: readonly FormsOfEntry[],
  deps: IdentifyDeps,
): Promise<boolean> {
  if (deps.identify === undefined) return false;
  let isChanged = false;
  for (const { seq, positions } of wanted) {
    const ids = deps.chains.forms(owner, seq, positions).map((form) => form.id);
    for (const copies of deps.index.chunks.locate(ids)) {
      const here = copies.filter((copy) => copy.store === '' && !copy.identified);
      for (const copy of here) if (await identifyCopy(copy, deps, deps.identify)) isChanged = true;
    }
  }
  return isChanged;
}

async function identifyCopy(copy: ChunkLocation, deps: IdentifyDeps, identify: IdentifyFrames): Promise<boolean> {
  const { id, keyId, sealedBytes, pack, offset, packClass } = copy;
  for await (const outcome of deps.chunks.fetch([{ id, keyId, sealedBytes, pack, offset }])) {
    if (!('sealed' in outcome)) continue;
    const [isGood] = await identify([{ id, keyId, packClass, sealed: outcome.sealed }]);
    if (isGood === true) {
      deps.index.chunks.noteIdentified(id, pack);
      return true;
    }
    deps.index.chunks.markBad(id, pack, 'it does not open to what its id names');
  }
  return false;
}
