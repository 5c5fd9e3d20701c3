/** What records say together that were read one by one from a damaged log. */
import type { RecordHash } from '../core/ids.ts';
import { compareHeads } from '../log/check-chain.ts';
import type { HashedEnvelope } from '../log/record.ts';
import type { RecordBody, SnapshotBody } from '../log/record-body.ts';

export interface ReadRecord {
  readonly envelope: HashedEnvelope;
  readonly bytes: Uint8Array;
  readonly body: RecordBody;
}

export interface ReadSnapshot {
  readonly id: RecordHash;
  readonly body: SnapshotBody;
}

/**
 * The records from the oldest on that follow on one another, by number and by hash. A log begins with its first record or with a checkpoint; what begins
 * otherwise has lost its beginning, and none of it can be joined.
 */
export function wholeChain(records: readonly ReadRecord[]): ReadRecord[] {
  const chain: ReadRecord[] = [];
  for (const record of [...records].sort((a, b) => compareHeads(a.envelope, b.envelope))) {
    const before = chain.at(-1)?.envelope;
    const { envelope, body } = record;
    const follows =
      before === undefined
        ? envelope.seq === 1 || body.type === 'checkpoint'
        : envelope.previous === before.hash && envelope.seq === before.seq + 1;
    if (!follows) {
      // A takeover goes on from its base; what lies behind that is a branch, and stays in its own files.
      const base = chain.findIndex(({ envelope: one }) => one.hash === envelope.previous);
      if (body.type !== 'takeover' || base < 0) return chain;
    }
    chain.push(record);
  }
  return chain;
}

/** In order, without what later ones among the records forget. */
export function snapshotsIn(records: readonly ReadRecord[]): ReadSnapshot[] {
  const snapshots = new Map<RecordHash, ReadSnapshot>();
  for (const { envelope, body } of records) {
    if (body.type === 'snapshot') snapshots.set(envelope.hash, { id: envelope.hash, body });
    else if (body.type === 'forget') snapshots.delete(body.snapshot);
    else if (body.type === 'checkpoint') {
      for (const { id, body: one } of body.checkpoint.snapshots) snapshots.set(id, { id, body: one });
    }
  }
  return [...snapshots.values()];
}
