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

/** The farthest place that was ever acknowledged stays, and so does the time of the first loss. */
export function noteShort(agent: AgentId, until: Omit<Position, 'link'>, nowNs: bigint, index: ChainIndex): void {
  const notes = read(index);
  const known = notes[agent];
  const farthest = known !== undefined && comparePlaces(known, until) > 0 ? known : until;
  const { incarnation, seq } = farthest;
  notes[agent] = { incarnation, seq, sinceNs: known?.sinceNs ?? String(nowNs) };
  index.kv.set(AGENTS_KEY, JSON.stringify(notes));
}

/** A note whose chain is as far again goes. */
export function shortChains(index: ChainIndex): ShortChain[] {
  const notes = read(index);
  const short: ShortChain[] = [];
  for (const [agent, { incarnation, seq, sinceNs }] of Object.entries(notes)) {
    const have = index.chainTable.followed(agent)?.position;
    if (have !== undefined && comparePlaces(have, { incarnation, seq }) >= 0) delete notes[agent];
    else short.push({ agent, have, until: { incarnation, seq }, sinceNs: BigInt(sinceNs) });
  }
  if (short.length < Object.keys(read(index)).length) write(notes, index);
  return short;
}

function write(notes: Readonly<Record<AgentId, Noted>>, index: ChainIndex): void {
  if (Object.keys(notes).length === 0) index.kv.delete(AGENTS_KEY);
  else index.kv.set(AGENTS_KEY, JSON.stringify(notes));
}

function read({ kv }: ChainIndex): Record<AgentId, Noted> {
  return JSON.parse(kv.get(AGENTS_KEY) ?? '{}') as Record<AgentId, Noted>;
}

export function shortMessage({ have, until }: Pick<ShortChain, 'have' | 'until'>): string {
  const ends = have === undefined ? 'is gone' : `ends at entry ${have.incarnation}/${have.seq}`;
  return `its file ${ends}, but entry ${until.incarnation}/${until.seq} was acknowledged`;
}
