/** Which other stores have a snapshot as a whole, by their newest answers. */
import type { SnapshotRow } from '@edgestore/engine';
import type { Opened } from './opened.ts';
import type { SnapshotCopy } from './snapshot-data.ts';

/** Only for this agent's own snapshots: others look after theirs. */
export async function snapshotCopies(row: SnapshotRow, { engine, replicator }: Opened): Promise<SnapshotCopy[]> {
  if (row.agent !== engine.identity.agentId) return [];
  const have = await replicator.durability(row);
  const complete = new Set([
    ...have.holders.map((peer) => peer.agent),
    ...have.stores.map((store) => `store:${store}`),
  ]);
  const targets = replicator.status().filter((target) => target.scope === 'all');
  return targets.map(({ target, name, site }) => ({
    target: name,
    site: site ?? null,
    complete: complete.has(target),
  }));
}
