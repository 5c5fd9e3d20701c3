/**
 * Brings one holder up to date (docs/chain.md 2.6, 11.4): a question first, then headers and records, then bodies, then the frames that it asks for, and a
 * question at the end. Only the last answer says what it has: nothing is remembered of an earlier pass.
 */
import type { Statement } from '../chain/statement.ts';
import { EdgeError } from '../core/errors.ts';
import { failpoint } from '../core/failpoint.ts';
import type { Member, PeerLink } from '../core/ports/peer.ts';
import { giveSlots } from './give-slots.ts';
import { listFurther } from './list-further.ts';
import { questionHolder } from './question-holder.ts';
import type { ReplicateDeps, ReplicateReport } from './replicate-deps.ts';
import { sendBodies, sendEntries } from './send-chain.ts';
import { type SentFrames, sendFrames } from './send-frames.ts';
import { sendParts, shardsToConfirm } from './send-parts.ts';

/**
 * E_ROLLBACK when this machine was put back to an older state; E_INTEGRITY when a chunk cannot be read anywhere, or the peer states what it cannot show;
 * E_NO_SPACE when the peer is full; E_STORE when it is away.
 */
export async function replicateToPeer(
  member: Member,
  link: PeerLink,
  deps: ReplicateDeps,
  signal?: AbortSignal,
): Promise<ReplicateReport> {
  let asked = await questionHolder(member, link, deps, signal);
  let entries = 0;
  let sent: SentFrames | undefined;
  let own: readonly number[] = [];
  // A second turn sends what the first one had to list before (2.11).
  for (let turn = 1; turn <= 2; turn++) {
    const end = deps.chain.position();
    if (end === undefined) break;
    own = ownShards(deps);
    const sentChain = await sendEntries(link, asked.fromSeq, end, deps, signal);
    entries += sentChain.entries;
    failpoint('replicate.entries-sent');
    const open = shardsToFill(asked.statement, sentChain.entries > 0, deps);
    const lacking = new Set([...open.bodies, ...sentChain.shards]);
    for (const shard of new Set([...lacking, ...shardsToConfirm(member.agent, deps)])) {
      await sendParts(link, shard, deps, signal);
      if (lacking.has(shard)) await sendBodies(link, shard, deps, signal);
    }
    sent = summed(sent, await sendFrames(link, open.frames, deps, signal));
    failpoint('replicate.frames-sent');
    if (entries > 0 || sent.chunks > 0) asked = await questionHolder(member, link, deps, signal);
    if (turn === 1 && !(await listFurther(sent.unsupplied.unlisted, deps))) break;
  }
  await giveSlots(member, link, asked.statement, deps, signal);
  refuseIncomplete(asked.statement, sent, link, own);
  const seq = wholeSeq(asked.statement, own);
  return {
    target: member.agent,
    chunks: sent?.chunks ?? 0,
    bytes: sent?.bytes ?? 0,
    sentBytes: sent?.sentBytes ?? 0,
    entries,
    position: seq === 0 ? undefined : deps.chain.positionAt(seq),
  };
}

/** What could not be supplied is told of the last turn. */
function summed(before: SentFrames | undefined, { chunks, bytes, sentBytes, unsupplied }: SentFrames): SentFrames {
  if (before === undefined) return { chunks, bytes, sentBytes, unsupplied };
  // The second turn is asked for the same chunks as the first.
  return { chunks: before.chunks, bytes: before.bytes, sentBytes: before.sentBytes + sentBytes, unsupplied };
}

/** Shards of the own chain that the holder has bodies or frames to get of, by what it said last and whether it got entries since. */
function shardsToFill(
  { position, shards }: Statement,
  hasNews: boolean,
  { chains, self }: ReplicateDeps,
): { readonly bodies: readonly number[]; readonly frames: readonly number[] } {
  const stated = new Map(shards.map((shard) => [shard.shard, shard]));
  const own = ownShards({ chains, self });
  const bodies = own.filter((shard) => (stated.get(shard)?.applied ?? 0) < (position?.seq ?? 0));
  if (hasNews) return { bodies, frames: own };
  const frames = own.filter((shard) => {
    const one = stated.get(shard);
    return one === undefined || bodies.includes(shard) || one.wanted + one.lost + one.unreadable > 0;
  });
  return { bodies, frames };
}

/**
 * The newest seq up to which the holder has everything, in every shard. `own`: shards that the own chain names up to
 * the stated position. One that is not stated counts as empty: an answer
 * that leaves shards out says nothing of them.
 */
export function wholeSeq({ position, shards }: Statement, own: readonly number[]): number {
  const stated = new Set(shards.map(({ shard }) => shard));
  if (own.some((shard) => !stated.has(shard))) return 0;
  return Math.min(position?.seq ?? 0, ...shards.map((shard) => shard.whole));
}

function ownShards({ chains, self }: Pick<ReplicateDeps, 'chains' | 'self'>): number[] {
  return chains.shards(self.agentId).map(({ shard }) => shard);
}

/** A pass that leaves something open has failed: the reason is told, and it is tried again. */
function refuseIncomplete(
  { shards, position }: Statement,
  sent: SentFrames | undefined,
  link: PeerLink,
  own: readonly number[],
): void {
  const lacks = shards.reduce((sum, shard) => sum + shard.wanted + shard.lost + shard.unreadable, 0);
  const applied = new Map(shards.map((shard) => [shard.shard, shard.applied]));
  const isApplied = own.every((shard) => (applied.get(shard) ?? 0) >= (position?.seq ?? 0));
  if (lacks === 0 && isApplied) return;
  const { count, first } = sent?.unsupplied ?? { count: 0, first: undefined };
  if (first !== undefined) {
    throw new EdgeError(
      'E_INTEGRITY',
      `${count} chunks that ${link.name} lacks have no good copy in a form that can be sent, such as ${first.id.slice(0, 8)}: ${first.why}`,
      {
        hint: 'Run `edgestore scrub --all` to see which files it touches; `edgestore sync --full-scan` stores again what its files still have.',
        context: { chunk: first.id, count },
      },
    );
  }
  throw new EdgeError(
    'E_FAILED',
    lacks > 0 ? `${link.name} still lacks ${lacks} chunks` : `${link.name} still lacks entries of the chain`,
    { context: { lacks }, retryable: true },
  );
}
