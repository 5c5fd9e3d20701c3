/** Text of `scrub`. */
import type { ScrubData } from '@edgestore/agent/operations/scrub';
import { formatBytes, formatDuration } from '@edgestore/engine/units';
import type { TextContext } from '../base-command.ts';
import { formatCount } from '../output/numbers.ts';
import { printable } from '../output/printable.ts';
import { shortId, shownPath } from './lines.ts';

export type { ScrubData };

const FILES_SHOWN_MAX = 20;

export function renderScrub(data: ScrubData, { colours, verbose }: TextContext): string[] {
  const lines = [
    `${formatCount(data.packs.read)} of ${formatCount(data.packs.total)} packs read, ${formatCount(data.chunks)} chunks, ${formatBytes(data.bytes)}, in ${formatDuration(data.duration_s * 1000)}`,
  ];
  for (const one of data.unread) lines.push(`${colours.yellow('not read')}  ${one.store}: ${printable(one.message)}`);
  if (data.findings.length === 0) return [...lines, colours.green('No damage found.')];
  for (const finding of data.findings) {
    const copies = finding.repaired
      ? ', repaired'
      : finding.other_copies > 0
        ? `, ${finding.other_copies} other good copies`
        : '';
    const what = finding.what === 'missing' ? 'missing' : 'damaged';
    lines.push(
      `${colours.red(what)}  ${finding.store} pack ${shortId(finding.pack)}: ${printable(finding.message)}${copies}`,
    );
  }
  if (data.dry_run) {
    const own = data.findings.filter((finding) => finding.store === 'local').length;
    lines.push(`Nothing was changed (dry run); --repair would look for good copies of ${formatCount(own)} elsewhere.`);
  }
  const shown = verbose ? data.files : data.files.slice(0, FILES_SHOWN_MAX);
  if (shown.length > 0) lines.push('Files that it touches:');
  for (const file of shown) lines.push(`  ${shortId(file.snapshot)} ${file.root}: ${shownPath(file) || '/'}`);
  const more = data.files.length - shown.length + data.files_omitted;
  if (more > 0) lines.push(`  … and ${formatCount(more)} more${verbose ? '' : ' (-v shows more)'}`);
  return lines;
}
