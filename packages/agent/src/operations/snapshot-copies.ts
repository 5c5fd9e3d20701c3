/** Which other stores hold a snapshot as a whole, as far as this agent's receipts know. */
import type { SnapshotRow } from '@edgestore/engine';
import type { Opened } from './opened.ts';
import type { SnapshotCopy } from './snapshot-data.ts';

/** Only for this agent's own snapshots: others look after theirs. */
export function snapshotCopies(row: SnapshotRow, { engine, replicator }: Opened): SnapshotCopy[] {
  if (row.agent !== engine.identity.agentId) return [];
  const have = replicator.durability(row);
  const complete = new Set([...have.peers.map((peer) => peer.agent), ...have.stores.map((store) => `store:${store}`)]);
  const targets = replicator.status().filter((target) => target.scope === 'all');
  return targets.map(({ target, name, site }) => ({
    target: name,
    site: site ?? null,
    complete: complete.has(target),
  }));
}
