/**
 * Whether a store's answer is of the own trail (docs/chain.md 2.6, 2.7). A store that is behind is sent what it lacks. One that shows an entry with the own
 * valid signature which is not here proves that this machine was put back or copied: from then on nothing is sent anywhere.
 */
import { type SignedHead, verifyHead } from '../chain/entry-head.ts';
import type { Position } from '../chain/position.ts';
import { EdgeError, isEdgeError } from '../core/errors.ts';
import type { PeerLink } from '../core/ports/peer.ts';
import { publicKeyOf } from '../keys/ed25519.ts';
import type { PutBackProof } from '../ports/put-back.ts';
import type { ReplicateDeps } from './replicate-deps.ts';

type OwnTrailDeps = Pick<ReplicateDeps, 'chains' | 'chain' | 'clock' | 'putBack' | 'self' | 'sodium' | 'vault'>;

/** E_ROLLBACK while this machine is known to have been put back. */
export function refuseWhenPutBack({ putBack }: Pick<ReplicateDeps, 'putBack'>): void {
  const proof = putBack.get();
  if (proof !== undefined) throw putBackError(proof);
}

/**
 * The seq up to which the store has this chain: entries after it are to be sent. E_ROLLBACK, for good, when the store proves that this machine was put
 * back; E_INTEGRITY for an answer that it cannot prove.
 */
export async function commonSeq(
  position: Position | undefined,
  link: PeerLink,
  deps: OwnTrailDeps,
  signal?: AbortSignal,
): Promise<number> {
  if (position === undefined) return 0;
  const { self, chains, chain } = deps;
  if (chains.isOnTrail(self.agentId, position)) return position.seq;
  const head = await headAt(position.seq, link, deps, signal);
  if (head === undefined || head.link !== position.link || head.header.incarnation !== position.incarnation)
    throw unproved(link.label, position);
  if (position.incarnation > self.incarnation) {
    throw new EdgeError(
      'E_ROLLBACK',
      `${link.label} has entries of incarnation ${position.incarnation} of this agent: its identity was taken over`,
      { hint: 'Stop this machine. What it has of its own can be restored from its data dir.' },
    );
  }
  // A store that did not take the newest takeover yet: it gets what follows the last entry that both have.
  if (position.incarnation < self.incarnation)
    return lastCommon(Math.min(position.seq, chain.position()?.seq ?? 0), link, deps, signal);
  if (!isSignedByUs(head, deps)) throw unproved(link.label, position);
  const proof: PutBackProof = { position, shownBy: link.label, sinceNs: deps.clock.nowNs() };
  await deps.putBack.set(proof);
  throw putBackError(deps.putBack.get() ?? proof);
}

/** The header that the store shows at a seq of this chain; undefined when it shows none that is of this agent. */
async function headAt(
  seq: number,
  link: PeerLink,
  { self, vault }: OwnTrailDeps,
  signal: AbortSignal | undefined,
): Promise<SignedHead | undefined> {
  for await (const { head } of link.entries(self.agentId, { afterSeq: seq - 1, bodies: 'none' }, signal)) {
    const { header } = head;
    return header.agent === self.agentId && header.vault === vault && header.seq === seq ? head : undefined;
  }
  return undefined;
}

function isSignedByUs(head: SignedHead, { sodium, self }: OwnTrailDeps): boolean {
  try {
    verifyHead(sodium, head, publicKeyOf(sodium, self.signSeed));
    return true;
  } catch (error) {
    if (isEdgeError(error, 'E_INTEGRITY')) return false;
    throw error;
  }
}

/** Halves the range, since two trails that differ once differ for ever: a link names all before it. */
async function lastCommon(
  most: number,
  link: PeerLink,
  deps: OwnTrailDeps,
  signal: AbortSignal | undefined,
): Promise<number> {
  let low = 0;
  let high = most;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    const theirs = await headAt(middle, link, deps, signal);
    if (theirs !== undefined && theirs.link === deps.chain.link(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}

function putBackError({ position, shownBy }: PutBackProof): EdgeError {
  return new EdgeError(
    'E_ROLLBACK',
    `${shownBy} has entry ${position.incarnation}/${position.seq} with this agent's own signature, which is not here: this machine was put back to an older state, or copied`,
    {
      hint: 'Nothing is sent or deleted until it is recovered (`edgestore recover`), so that it gets a new incarnation. Captures go on locally.',
      context: { position },
    },
  );
}

function unproved(label: string, { incarnation, seq }: Position): EdgeError {
  return new EdgeError('E_INTEGRITY', `${label} states entry ${incarnation}/${seq} of this agent and cannot show it`, {
    hint: 'Nothing is sent there. If that store is damaged, mend it there; if it is not trusted, remove it.',
  });
}
