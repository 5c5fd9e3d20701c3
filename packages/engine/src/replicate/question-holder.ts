/** A question whose answer counts: it is of the own trail, and a few chunks that it claims were proved. */
import type { Member, PeerLink } from '../core/ports/peer.ts';
import { type AskedStatement, askStatement, noteBelief } from './ask-statement.ts';
import { auditSample } from './audit-sample.ts';
import { commonSeq, refuseWhenPutBack } from './own-trail.ts';
import type { ReplicateDeps } from './replicate-deps.ts';

export interface Questioned extends AskedStatement {
  /** Entries after this seq are to be sent. */
  readonly fromSeq: number;
}

/** Notes the answer as the belief about the holder. E_ROLLBACK when this machine was put back; E_INTEGRITY for an answer that is not proved. */
export async function questionHolder(
  member: Member,
  link: PeerLink,
  deps: ReplicateDeps,
  signal?: AbortSignal,
): Promise<Questioned> {
  refuseWhenPutBack(deps);
  const asked = await askStatement(member, link, deps, signal);
  const fromSeq = await commonSeq(asked.statement.position, link, deps, signal);
  // An answer that is of an older incarnation counts for nothing, so nothing of it is proved.
  const isOnTrail = asked.statement.position === undefined || fromSeq === asked.statement.position.seq;
  if (isOnTrail) await auditSample(member.agent, link, asked, deps, signal);
  noteBelief(member.agent, asked, deps);
  return { ...asked, fromSeq };
}
