import { EdgeError } from '../core/errors.ts';
import type { AgentId, VaultId } from '../core/ids.ts';
import type { Head, RecordEnvelope } from './record-body.ts';

/** What the first record of a log has for a previous hash. */
export const NO_PREVIOUS = '00'.repeat(32);

/**
 * The envelope of the record that follows `head` (undefined for the first of a log). Sequence numbers go on through takeovers: a takeover of base
 * (1, 7) writes (2, 8). E_FAILED for an incarnation before the head's.
 */
export function nextEnvelope(
  head: Head | undefined,
  writer: { readonly vault: VaultId; readonly agent: AgentId; readonly incarnation: number; readonly keyId: number },
): RecordEnvelope {
  const { vault, agent, incarnation, keyId } = writer;
  if (head === undefined) return { vault, agent, incarnation, seq: 1, previous: NO_PREVIOUS, keyId };
  if (incarnation < head.incarnation) {
    throw new EdgeError(
      'E_FAILED',
      `incarnation ${incarnation} may not write behind a head of incarnation ${head.incarnation}`,
    );
  }
  return { vault, agent, incarnation, seq: head.seq + 1, previous: head.hash, keyId };
}
