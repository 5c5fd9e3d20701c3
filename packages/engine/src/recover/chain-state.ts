/** What a chain comes to: live snapshots with their marks, pins and the newest settings, by the same rules as the index. */
import { comparePlaces, type Link, type Position } from '../chain/position.ts';
import { type CheckpointPart, joinCheckpointParts, type RecordCheckpoint } from '../chain/record-checkpoint.ts';
import type { Settings } from '../log/record-body.ts';
import type { GatheredEntry } from './gather-chain.ts';
import type { RecoveredSnapshot } from './recover-types.ts';

export interface ChainState {
  /** By incarnation and seq; without those that were forgotten, or unfinished and replaced. */
  readonly snapshots: readonly RecoveredSnapshot[];
  readonly pins: RecordCheckpoint['pins'];
  readonly settings: Settings | undefined;
}

/** Entries of one chain in order. Pieces of it may be missing. */
export function chainState(entries: readonly GatheredEntry[]): ChainState {
  const snapshots = new Map<Link, RecoveredSnapshot>();
  const pins = new Map<Link, string>();
  const damaged = new Set<Link>();
  let settings: Settings | undefined;
  let parts: CheckpointPart[] = [];
  for (const { link: id, incarnation, seq, shard, record, part } of entries) {
    if (part !== undefined) {
      if (part.part === 1) parts = [];
      parts.push(part);
      if (part.part !== part.parts || parts.length !== part.parts) continue;
      applyCheckpoint(joinCheckpointParts(parts), { incarnation, seq });
      parts = [];
    } else if (record?.type === 'snapshot') {
      snapshots.set(id, { id, incarnation, seq, shard, body: record, damaged: false, branch: undefined });
    } else if (record?.type === 'forget') {
      snapshots.delete(record.snapshot);
    } else if (record?.type === 'pin') {
      pins.set(record.snapshot, record.reason);
    } else if (record?.type === 'unpin') {
      pins.delete(record.snapshot);
    } else if (record?.type === 'damaged') {
      for (const link of record.snapshots) damaged.add(link);
    } else if (record?.type === 'settings') {
      settings = record.settings;
    }
  }
  const inOrder = [...snapshots.values()].sort(comparePlaces);
  const newestOf = new Map(inOrder.map(({ body, id }) => [body.root, id]));
  const isReplaced = ({ body, id }: RecoveredSnapshot): boolean =>
    body.unfinished === true && newestOf.get(body.root) !== id;
  return {
    snapshots: inOrder
      .filter((one) => !isReplaced(one))
      .map((one) => (damaged.has(one.id) ? { ...one, damaged: true } : one)),
    pins: [...pins].map(([snapshot, reason]) => ({ snapshot, reason })),
    settings,
  };

  function applyCheckpoint(checkpoint: RecordCheckpoint, at: Omit<Position, 'link'>): void {
    const live = new Set(checkpoint.snapshots.map(({ id }) => id));
    for (const [id, one] of snapshots) if (!live.has(id) && comparePlaces(one, at) < 0) snapshots.delete(id);
    for (const one of checkpoint.snapshots) {
      snapshots.set(one.id, { ...one, branch: undefined });
      if (one.damaged) damaged.add(one.id);
    }
    pins.clear();
    for (const { snapshot, reason } of checkpoint.pins) pins.set(snapshot, reason);
    if (checkpoint.settings !== undefined) settings = checkpoint.settings;
  }
}
