/** The part of `scrub --all` that compares each chain here with the index and the frames (docs/chain.md 11.3). */
import { type CheckedHolds, checkHolds, isEdgeError, remakeHolds } from '@edgestore/engine';
import type { OperationContext } from './operation.ts';
import type { ScrubHolds } from './scrub.ts';

/**
 * With `repair` an index that differs is made again from the files, never the files from the index. Own chunks that are not here may be at targets on purpose:
 * whether those are lost is judged by what snapshots need.
 */
export async function scrubHolds(
  { repair }: { readonly repair: boolean },
  context: OperationContext,
): Promise<ScrubHolds[]> {
  const { engine } = context.home;
  const { chains, identity, index } = engine;
  const out: ScrubHolds[] = [];
  for (const agent of chains.agents()) {
    const isOwn = agent === identity.agentId;
    const found = await compared(agent, context);
    const isWrong = found.some(differs);
    let left = found;
    if (isWrong && repair) {
      await remakeHolds(chains.followed(agent));
      // Rows of folders were made while the index was wrong: files are looked up again.
      if (isOwn) index.chunks.voidRows();
      left = await compared(agent, context);
    }
    out.push(...found.flatMap((one) => described(agent, one, left, context)));
  }
  return out;
}

/** Nothing of a chain that is damaged: what mends it comes first, and says so. */
async function compared(agent: string, { home, signal, warn }: OperationContext): Promise<CheckedHolds[]> {
  const { chains, index } = home.engine;
  const found: CheckedHolds[] = [];
  try {
    for await (const one of checkHolds(agent, { chains, chunks: index.chunks }, signal)) found.push(one);
    return found;
  } catch (error) {
    if (!isEdgeError(error, 'E_INTEGRITY')) throw error;
    warn({ code: error.code, message: `what is held was not compared with the index: ${error.message}` });
    return [];
  }
}

function differs({ wrong, isMiscounted }: CheckedHolds): boolean {
  return wrong > 0 || isMiscounted;
}

function described(
  agent: string,
  found: CheckedHolds,
  left: readonly CheckedHolds[],
  { home }: OperationContext,
): ScrubHolds[] {
  const { chains, identity } = home.engine;
  const own = agent === identity.agentId;
  const { shard, held, wrong, isMiscounted } = found;
  const state = chains.shards(agent).find((one) => one.shard === shard);
  const lost = own ? 0 : (state?.lost ?? 0);
  const unreadable = own ? 0 : (state?.unreadable ?? 0);
  const isWrong = differs(found);
  if (!isWrong && lost + unreadable === 0) return [];
  const now = left.find((one) => one.shard === shard);
  const repaired = now !== undefined && !differs(now);
  const name = home.peers.cards.newestOf(agent)?.card.name ?? null;
  const next = repaired
    ? `${own ? 'the next sync stores again what files still have' : 'the owner is told, and sends them again with its next pass'}`
    : 'edgestore scrub --all --repair makes the index again from the files';
  return [{ agent, name, own, shard, held, lost, unreadable, wrong, miscounted: isMiscounted, repaired, next }];
}
