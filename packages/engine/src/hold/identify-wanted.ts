/** Copies that are here already but do not satisfy yet: of another owner, or found by a rebuild. Where the key is, they are opened (docs/chain.md 3.8). */
import type { AgentId, ChunkId, PackName } from '../core/ids.ts';
import type { ChunkStore } from '../core/ports/chunk-store.ts';
import type { IdentifyFrames } from '../core/ports/identify-frames.ts';
import type { ChunkIndex, ChunkLocation, CopyMark } from '../core/ports/index.ts';
import type { Chains, FormsOfEntry } from '../ports/chains.ts';

export interface IdentifyDeps {
  readonly chains: Pick<Chains, 'forms'>;
  readonly chunks: Pick<ChunkStore, 'fetch'>;
  readonly index: {
    readonly chunks: Pick<ChunkIndex, 'locate' | 'markCopies'> & {
      noteIdentified(copies: readonly { readonly id: ChunkId; readonly pack: PackName }[]): void;
    };
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
  const good: { id: ChunkId; pack: PackName }[] = [];
  const bad: CopyMark[] = [];
  for (const { seq, positions, forms } of wanted) {
    const ids = (forms ?? deps.chains.forms(owner, seq, positions)).map((form) => form.id);
    for (const copies of deps.index.chunks.locate(ids)) {
      for (const copy of copies.filter(({ store, identified }) => store === '' && !identified)) {
        const isGood = await isIdentified(copy, deps, deps.identify);
        const { id, pack } = copy;
        if (isGood === true) good.push({ id, pack });
        else if (isGood === false)
          bad.push({ id, pack, reason: 'damaged', why: 'it does not open to what its id names' });
      }
    }
  }
  // One transaction for all of them: each is an fsync.
  if (good.length > 0) deps.index.chunks.noteIdentified(good);
  if (bad.length > 0) deps.index.chunks.markCopies(bad);
  return good.length > 0;
}

/** Undefined where the copy cannot be read. */
async function isIdentified(
  copy: ChunkLocation,
  deps: IdentifyDeps,
  identify: IdentifyFrames,
): Promise<boolean | undefined> {
  const { id, keyId, sealedBytes, pack, offset, packClass } = copy;
  for await (const outcome of deps.chunks.fetch([{ id, keyId, sealedBytes, pack, offset }]))
    if ('sealed' in outcome) return (await identify([{ id, keyId, packClass, sealed: outcome.sealed }]))[0];
  return undefined;
}
