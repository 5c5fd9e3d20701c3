import { EdgeError, isEdgeError } from '../core/errors.ts';
import { failpoint } from '../core/failpoint.ts';
import { toHex } from '../core/ids.ts';
import { decodeEnvelope, type HashedEnvelope, verifyRecord } from '../log/record.ts';
import { type Head, type RecordBody, snapshotPages } from '../log/record-body.ts';
import type { HolderDeps, HoldOwner } from './holder.ts';

/** Verifies, appends and indexes records of another agent's log. See `Holder.addRecords`. */
export async function addRecords(owner: HoldOwner, records: readonly Uint8Array[], deps: HolderDeps): Promise<Head> {
  for (const record of records) {
    const envelope = decodeEnvelope(record);
    if (envelope.vault !== deps.vault || envelope.agent !== owner.agent || envelope.incarnation > owner.incarnation) {
      throw new EdgeError('E_DENIED', 'a record of another vault, agent or incarnation', {
        context: { agent: envelope.agent },
      });
    }
    const key =
      envelope.incarnation === owner.incarnation
        ? owner.signPublicKey
        : deps.signKeyOf(owner.agent, envelope.incarnation);
    if (key === undefined) {
      throw new EdgeError(
        'E_DENIED',
        `no card of agent ${owner.agent.slice(0, 8)} for incarnation ${envelope.incarnation} is known here`,
        { retryable: true },
      );
    }
    verifyRecord(deps.sodium, record, key);
    const body = openBody(record, deps);
    if (body?.type === 'snapshot') requirePages(body, envelope, deps);
    await deps.log.append(record);
    failpoint('hold.record-logged');
    deps.index.log.applyRecord(envelope, body);
    failpoint('hold.record-indexed');
  }
  const head = deps.log.head(owner.agent);
  if (head === undefined) throw new EdgeError('E_USAGE', 'there is no record to add');
  return head;
}

/** A record that this agent cannot open (of a later key or format) is kept all the same: it is the owner's. */
function openBody(record: Uint8Array, deps: HolderDeps): RecordBody | undefined {
  try {
    return deps.openRecord?.(record);
  } catch (error) {
    if (isEdgeError(error, 'E_NEWER_FORMAT')) return undefined;
    throw error;
  }
}

/** Where a record is read, all it reaches is stored; the cheap part of that is checked here, the rest is the owner's order. */
function requirePages(
  body: Extract<RecordBody, { type: 'snapshot' }>,
  envelope: HashedEnvelope,
  deps: HolderDeps,
): void {
  const pages = snapshotPages(body);
  const absent = deps.index.chunks.locate(pages).findIndex((copies) => copies.length === 0);
  if (absent === -1) return;
  throw new EdgeError('E_FAILED', `snapshot ${envelope.hash.slice(0, 8)} came before its chunks`, {
    context: { snapshot: envelope.hash, chunk: toHex(pages[absent]!) },
    retryable: true,
  });
}
