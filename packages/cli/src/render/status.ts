/** Text of `status`: one screen. */
import type { StatusData } from '@edgestore/agent/operations/status-data';
import { formatBytes } from '@edgestore/engine/units';
import type { TextContext } from '../base-command.ts';
import { formatCount } from '../output/numbers.ts';
import { printable } from '../output/printable.ts';
import { facts, shortId, shownTime, table } from './lines.ts';

export type { StatusData };

export function renderStatus(data: StatusData, { colours }: TextContext): string[] {
  const { agent, vault, store } = data;
  const lines = [
    ...facts([
      [
        'agent',
        `${colours.bold(agent.name)} at site ${agent.site} (${shortId(agent.id)}, incarnation ${agent.incarnation}), ${agent.running ? 'running' : 'no agent running'}`,
      ],
      ['vault', shortId(vault.id)],
      ['data dir', printable(data.data_dir)],
      [
        'store',
        `${formatCount(store.packs)} packs, ${formatCount(store.chunks)} chunks, ${formatBytes(store.bytes)}; ${formatBytes(store.free_bytes)} free`,
      ],
      [
        'damaged',
        data.damaged_snapshots === 0
          ? undefined
          : `${formatCount(data.damaged_snapshots)} snapshots are damaged and count at no level; what of them is left is restored by file (edgestore snapshot list)`,
      ],
      ['held', store.held_for_others === 0 ? undefined : `${formatCount(store.held_for_others)} chunks for others`],
    ]),
  ];
  const roots = data.roots.map((root) => [
    root.name,
    printable(root.path),
    root.last_snapshot === null ? 'never' : `${shortId(root.last_snapshot.id)} ${shownTime(root.last_snapshot.time)}`,
    root.copies === null
      ? '-'
      : `${root.copies.have} of ${root.copies.want} copies, ${root.sites?.have ?? 0} of ${root.sites?.want ?? 0} sites`,
  ]);
  if (roots.length > 0) lines.push('', ...table(['ROOT', 'PATH', 'LAST SNAPSHOT', 'SAFE ELSEWHERE'], roots));
  const away = new Set(data.stores.filter((one) => one.away !== null).map(({ name }) => name));
  const targets = data.targets.map((target) => [
    target.name,
    target.site ?? '-',
    target.scope === 'meta' ? 'bucket (trees and log)' : target.kind,
    target.kind === 'bucket' && away.has(target.name)
      ? colours.red('away')
      : target.sending
        ? 'sending'
        : target.pending === 0
          ? 'up to date'
          : `${formatCount(target.pending)} waiting`,
    target.asked === null ? 'never' : shownTime(target.asked),
    target.last_error === null ? '' : colours.red(printable(target.last_error)),
  ]);
  if (targets.length > 0) lines.push('', ...table(['TARGET', 'SITE', 'KIND', 'QUEUE', 'ASKED', 'LAST ERROR'], targets));
  lines.push('');
  if (data.findings.every(({ severity }) => severity === 'info')) lines.push(colours.green('All is well.'));
  for (const { severity, message, since, next } of data.findings) {
    const when = since === undefined ? '' : `, since ${shownTime(since)}`;
    lines.push(`${severity === 'info' ? 'note:' : colours.yellow('!')} ${printable(message)}${when}`);
    if (next !== undefined) lines.push(`    ${printable(next)}`);
  }
  return lines;
}
