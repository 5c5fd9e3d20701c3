/** Text of the `snapshot` commands. */
import type {
  PinData,
  SnapshotData,
  SnapshotListData,
  SnapshotShowData,
} from '@edgestore/agent/operations/snapshot-data';
import { formatBytes } from '@edgestore/engine/units';
import type { TextContext } from '../base-command.ts';
import { formatCount } from '../output/numbers.ts';
import { printable } from '../output/printable.ts';
import { facts, shortId, shownTime, table } from './lines.ts';

export type { PinData, SnapshotListData, SnapshotShowData };

export function renderSnapshots({ snapshots }: SnapshotListData): string[] {
  if (snapshots.length === 0) return ['No snapshots yet: `edgestore sync` writes one.'];
  const rows = snapshots.map((s) => [
    shortId(s.id),
    shownTime(s.time),
    s.root,
    formatCount(s.files),
    formatBytes(s.bytes),
    notesOf(s),
  ]);
  return table(['ID', 'TIME', 'ROOT', 'FILES', 'SIZE', 'NOTES'], rows, [3, 4]);
}

export function renderSnapshot({ snapshot: s }: SnapshotShowData, { colours }: TextContext): string[] {
  return [
    `snapshot ${colours.bold(s.id)}`,
    ...facts([
      ['root', `${s.root} (${printable(s.path)})`],
      ['agent', `${s.agent_name ?? ''} ${shortId(s.agent)}, incarnation ${s.incarnation}, record ${s.seq}`.trim()],
      ['time', shownTime(s.time)],
      ['entries', `${formatCount(s.files)} files, ${formatCount(s.dirs)} folders, ${formatCount(s.others)} others`],
      ['bytes', `${formatBytes(s.bytes)}; ${formatBytes(s.new_bytes)} were new, ${formatBytes(s.stored_bytes)} stored`],
      ['failed', s.failed > 0 ? `${formatCount(s.failed)} items could not be read` : undefined],
      ['parent', s.parent === null ? undefined : shortId(s.parent)],
      [
        'tags',
        Object.entries(s.tags)
          .map(([k, v]) => `${printable(k)}=${printable(v)}`)
          .join(' ') || undefined,
      ],
      ['notes', notesOf(s) || undefined],
      [
        'copies',
        s.copies.length === 0
          ? 'only here'
          : s.copies.map((c) => `${c.target}${c.complete ? '' : ' (incomplete)'}`).join(', '),
      ],
      ['program', s.program],
    ]),
  ];
}

export function renderPin(data: PinData): string[] {
  const id = shortId(data.snapshot);
  if (data.dry_run) return [`${id} would be ${data.pinned ? 'pinned' : 'unpinned'}`];
  if (!data.changed) return [`${id} was ${data.pinned ? 'pinned' : 'not pinned'} already`];
  return [data.pinned ? `${id} pinned${data.reason === null ? '' : `: ${printable(data.reason)}`}` : `${id} unpinned`];
}

function notesOf(s: SnapshotData): string {
  const notes: string[] = [];
  if (s.pinned !== null) notes.push(`pinned${s.pinned === '' ? '' : `: ${printable(s.pinned)}`}`);
  if (s.unfinished) notes.push('unfinished');
  if (s.failed > 0) notes.push(`${s.failed} failed`);
  if (s.branch) notes.push('branch');
  if (s.damaged) notes.push('damaged');
  if (s.lacks !== null && s.lacks > 0) notes.push(`incomplete: lacks ${formatCount(s.lacks)} chunks`);
  if (s.forgotten) notes.push('forgotten');
  return notes.join(', ');
}
