/** What a log comes to: live snapshots and the newest settings, by the same rules as the index. */
import type { RecordHash } from '../core/ids.ts';
import { compareHeads } from '../log/check-chain.ts';
import type { Settings } from '../log/record-body.ts';
import type { GatheredLog } from './gather-log.ts';
import type { RecoveredSnapshot } from './recover-types.ts';

export interface LogState {
  /** Oldest first; with branches, without what was forgotten or replaced. */
  readonly snapshots: readonly RecoveredSnapshot[];
  readonly settings: Settings | undefined;
}

export function logState(log: GatheredLog): LogState {
  const snapshots = new Map<RecordHash, RecoveredSnapshot>();
  let settings: Settings | undefined;
  for (const { envelope, body } of log.records) {
    const isBranch = log.branches.has(envelope.hash);
    if (body.type === 'snapshot') {
      snapshots.set(envelope.hash, { id: envelope.hash, incarnation: envelope.incarnation, seq: envelope.seq, body });
    } else if (isBranch) {
      // Of a branch only the snapshots count: the rest lost to the takeover.
    } else if (body.type === 'forget') {
      snapshots.delete(body.snapshot);
    } else if (body.type === 'settings') {
      settings = body.settings;
    } else if (body.type === 'checkpoint') {
      const { checkpoint } = body;
      const live = new Set(checkpoint.snapshots.map(({ id }) => id));
      for (const one of [...snapshots.values()]) {
        if (!live.has(one.id) && !log.branches.has(one.id) && compareHeads(one, checkpoint.head) <= 0)
          snapshots.delete(one.id);
      }
      for (const one of checkpoint.snapshots) snapshots.set(one.id, one);
      if (checkpoint.settings !== undefined) settings = checkpoint.settings;
    }
  }
  const inOrder = [...snapshots.values()].sort(compareHeads);
  const isReplaced = (one: RecoveredSnapshot): boolean =>
    one.body.unfinished === true &&
    inOrder.some((later) => later.body.root === one.body.root && compareHeads(later, one) > 0);
  return { snapshots: inOrder.filter((one) => !isReplaced(one)), settings };
}
