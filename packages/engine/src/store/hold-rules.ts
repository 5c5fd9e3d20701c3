/** When a hold batch is refused, so that a machine put back to an old image cannot undo what its newer self asked for. */
import { EdgeError } from '../core/errors.ts';
import { compareHeads } from '../log/check-chain.ts';
import type { HoldBatch } from '../log/hold-batch.ts';
import type { Head } from '../log/record-body.ts';
import type { HoldOwner } from './holder.ts';

export interface Witnessed {
  /** What the owner's earlier batches showed. */
  readonly state: { readonly incarnation: number; readonly lastOp: number; readonly head: Head } | undefined;
  /** Hash of the batch that was applied under this number. */
  readonly knownHash: string | undefined;
  /** The newest record of the owner's log here. */
  readonly recordHead: Head | undefined;
}

/**
 * True when the batch was applied before (sent again), false when it is new and next. E_DENIED for an incarnation without a card; E_ROLLBACK for an
 * older incarnation, a head behind the newest witnessed, or a number already used; E_FORK for another record in the witnessed head's place.
 */
export function refuseStaleBatch(batch: HoldBatch, hash: string, owner: HoldOwner, witnessed: Witnessed): boolean {
  const { incarnation } = batch.head;
  const { state, knownHash, recordHead } = witnessed;
  if (incarnation > owner.incarnation) {
    throw new EdgeError(
      'E_DENIED',
      `no card of agent ${owner.agent.slice(0, 8)} for incarnation ${incarnation} is known here`,
      { retryable: true },
    );
  }
  const newest = Math.max(owner.incarnation, state?.incarnation ?? 0, recordHead?.incarnation ?? 0);
  if (incarnation < newest) throw rollback(batch, `incarnation ${incarnation} was taken over by ${newest}`);
  if (knownHash === hash) return true;
  if (knownHash !== undefined) throw rollback(batch, `another batch was applied under number ${batch.op}`);
  if (state !== undefined && state.incarnation === incarnation && batch.op <= state.lastOp) {
    throw rollback(batch, `number ${batch.op} is behind ${state.lastOp}`);
  }
  for (const head of [state?.head, recordHead]) {
    if (head === undefined || head.seq === 0) continue;
    const order = compareHeads(batch.head, head);
    if (order < 0)
      throw rollback(
        batch,
        `its head ${batch.head.incarnation}/${batch.head.seq} is behind ${head.incarnation}/${head.seq}, which was seen here`,
      );
    if (order === 0 && batch.head.hash !== head.hash) {
      throw new EdgeError(
        'E_FORK',
        `agent ${owner.agent.slice(0, 8)} shows another record ${head.incarnation}/${head.seq} than before`,
        {
          hint: 'Two machines write under one identity, or one was put back to an older state. Stop one of them.',
          context: { agent: owner.agent, first: head, second: batch.head },
        },
      );
    }
  }
  return false;
}

function rollback(batch: HoldBatch, problem: string): EdgeError {
  return new EdgeError(
    'E_ROLLBACK',
    `hold batch ${batch.op} of agent ${batch.owner.slice(0, 8)} is refused: ${problem}`,
    {
      hint: 'If that machine was restored from an old image, recover it (`edgestore recover`) so that it gets a new incarnation.',
      context: { owner: batch.owner, op: batch.op, head: batch.head },
    },
  );
}
