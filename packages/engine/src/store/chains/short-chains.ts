/**
 * Notes of chains of others whose file ended before an entry that was acknowledged (docs/chain.md 2.5). The index
 * forgets what is not in the file, so the note alone tells of the loss, until the chain is as far again.
 */
import { comparePlaces, type Position } from '../../chain/position.ts';
import type { AgentId } from '../../core/ids.ts';
import type { ChainIndex } from '../../ports/chain-index.ts';
import type { ShortChain } from '../../ports/chains.ts';

const AGENTS_KEY = 'chains.short';

interface Noted {
  readonly incarnation: number;
  readonly seq: number;
  readonly sinceNs: string;
}

/** Before the rows go. The farthest place stays noted while the chain was not as far again. */
export function noteShort(agent: AgentId, until: Omit<Position, 'link'>, nowNs: bigint, index: ChainIndex): void {
  const notes = read(index);
  const known = notes[agent];
  if (known !== undefined && comparePlaces(known, until) > 0) return;
  const { incarnation, seq } = until;
  index.kv.set(AGENTS_KEY, JSON.stringify({ ...notes, [agent]: { incarnation, seq, sinceNs: String(nowNs) } }));
}

/**
 * Writes nothing, so that it works on a full disk: a note whose chain is as far again says nothing, until it is
 * replaced.
 */
export function shortChains(index: ChainIndex): ShortChain[] {
  return Object.entries(read(index)).flatMap(([agent, { incarnation, seq, sinceNs }]) => {
    const have = index.chainTable.followed(agent)?.position;
    const isThere = have !== undefined && comparePlaces(have, { incarnation, seq }) >= 0;
    return isThere ? [] : [{ agent, have, until: { incarnation, seq }, sinceNs: BigInt(sinceNs) }];
  });
}

function read({ kv }: ChainIndex): Record<AgentId, Noted> {
  return JSON.parse(kv.get(AGENTS_KEY) ?? '{}') as Record<AgentId, Noted>;
}

export function shortMessage({ have, until }: Pick<ShortChain, 'have' | 'until'>): string {
  const ends = have === undefined ? 'is gone' : `ends at entry ${have.incarnation}/${have.seq}`;
  return `its file ${ends}, but entry ${until.incarnation}/${until.seq} was acknowledged`;
}
