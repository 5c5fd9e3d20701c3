/** Text of `recover`. */
import type { RecoverData } from '@edgestore/agent/operations/recover';
import { formatBytes } from '@edgestore/engine/units';
import type { TextContext } from '../base-command.ts';
import { formatCount } from '../output/numbers.ts';
import { printable } from '../output/printable.ts';
import { facts, shortId, shownTime } from './lines.ts';

export type { RecoverData };

export function renderRecover(data: RecoverData, { colours }: TextContext): string[] {
  const lines = [
    data.dry_run
      ? 'Would recover'
      : `Recovered ${colours.green(data.agent.name)}${data.read_only ? ' (read-only)' : `, now in incarnation ${data.agent.incarnation}`}`,
    ...facts([
      ['vault', shortId(data.vault)],
      [
        'head',
        data.head === null
          ? 'none'
          : `${shortId(data.head.hash)}, entry ${data.head.seq} of incarnation ${data.head.incarnation}, ${shownTime(data.head.time)}`,
      ],
      ['vouched for by', data.vouched_by.join(', ') || 'nobody but the source itself'],
      ['roots', data.roots.map((root) => `${root.name} (${printable(root.path)})`).join(', ') || 'none'],
      ['snapshots', formatCount(data.snapshots)],
    ]),
  ];
  if (data.branches.length > 1) {
    for (const branch of data.branches) {
      const what = branch.chosen ? 'goes on' : `branches off behind entry ${branch.base_seq}`;
      const newest = branch.newest_snapshot === null ? '' : `, the newest of ${shownTime(branch.newest_snapshot)}`;
      lines.push(
        `branch   ${shortId(branch.branch)} of ${branch.name}, incarnation ${branch.incarnation}: ${what}, ${formatCount(branch.snapshots)} snapshot(s)${newest}`,
      );
    }
  }
  for (const gap of data.gaps) {
    lines.push(
      `${colours.yellow('missing')}  ${shortId(gap.snapshot)} of ${gap.root}: ${formatCount(gap.files)} of ${formatCount(gap.files_total)} files (${formatBytes(gap.bytes)}) are in none of these places`,
    );
  }
  if (data.settings_files.length > 0) {
    lines.push('settings of before were written to these files; remove those that your own edgestore.toml says too:');
    lines.push(...data.settings_files.map((file) => `    ${printable(file)}`));
  }
  const whose = data.read_only ? ` --agent ${printable(data.agent.name)}` : '';
  if (!data.dry_run) lines.push('', `Next: edgestore restore latest${whose} --root NAME --target FOLDER`);
  return lines;
}
