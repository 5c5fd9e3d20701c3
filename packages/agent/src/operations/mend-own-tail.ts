/**
 * Each job that writes calls this first. An end that the own chain lost comes from other stores. Where no store has it,
 * it is given up and told (docs/chain.md 2.5).
 */
import { formatTimeNs, type MendedTail, mendTail, type ReportWarning } from '@edgestore/engine';
import type { AgentHome } from '../home/agent-home.ts';
import { chainSources } from './chain-sources.ts';

/** Named in a warning; `scrub --repair` has no such bound. */
const NAMED_MAX = 20;

/**
 * E_ROLLBACK, and nothing was changed, where a store that may have it could not be asked, or where a person has to
 * decide.
 */
export function mendOwnTail(
  home: AgentHome,
  { warn, signal }: { readonly warn: ReportWarning; readonly signal: AbortSignal },
): Promise<void> {
  return home.turns.run('own-tail', async () => {
    const { engine, peers } = home;
    const { dataDir, sodium, chains, chain, identity, index } = engine;
    if (chain.missingTail === undefined) return;
    const mended = await mendTail({
      dataDir,
      sodium,
      chains,
      chain,
      identity,
      index,
      sources: chainSources(home),
      signPublicKey: (agent, incarnation) => peers.cards.signPublicKey(agent, incarnation),
      warn,
      signal,
    });
    // Rows of folders may name chunks that are held no more.
    index.chunks.voidRows();
    if (mended !== undefined) warn(told(mended));
  });
}

function told({ firstSeq, untilSeq, endSeq, from, lost }: MendedTail): { code: string; message: string } {
  const missing = `entries ${firstSeq} to ${untilSeq} of this agent's own chain were missing in its file`;
  const taken = from.length === 0 ? '' : `; those up to ${endSeq} were fetched from ${from.join(', ')}`;
  if (endSeq === untilSeq) return { code: 'W_TAIL_FETCHED', message: `${missing}${taken}. Nothing is lost` };
  const named = lost
    .slice(0, NAMED_MAX)
    .map(
      ({ id, root, timeNs }) =>
        `${id.slice(0, 8)} of ${root}${timeNs === undefined ? '' : `, ${formatTimeNs(timeNs)}`}`,
    );
  const more = lost.length > NAMED_MAX ? `, and ${lost.length - NAMED_MAX} more` : '';
  const snapshots = lost.length === 0 ? 'No snapshot is lost' : `Lost snapshots: ${named.join('; ')}${more}`;
  return {
    code: 'W_TAIL_LOST',
    message: `${missing}${taken}. Every store was asked, and none has the rest: the chain goes on behind entry ${endSeq}. ${snapshots}`,
  };
}
