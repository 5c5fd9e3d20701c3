/** Text of `scrub`. */
import type { ScrubData } from '@edgestore/agent/operations/scrub';
import { formatBytes, formatDuration } from '@edgestore/engine/units';
import type { TextContext } from '../base-command.ts';
import { formatCount } from '../output/numbers.ts';
import { shortId, shownPath } from './lines.ts';

export type { ScrubData };

export function renderScrub(data: ScrubData, { colours, verbose }: TextContext): string[] {
  const lines = [
    `${formatCount(data.packs.checked)} of ${formatCount(data.packs.total)} packs read, ${formatCount(data.chunks)} chunks, ${formatBytes(data.bytes)}, in ${formatDuration(1000 * data.duration_s)}`,
  ];
  if (data.damage.length === 0) return [...lines, colours.green('No damage found.')];
  for (const damage of data.damage) {
    lines.push(
      `${colours.red('damaged')}  ${damage.store} pack ${shortId(damage.pack)}: ${damage.message} (${formatCount(damage.chunks)} chunks)`,
    );
    for (const file of verbose ? damage.files : damage.files.slice(0, 10))
      lines.push(`  ${shortId(file.snapshot)} ${file.root}: ${shownPath(file)}`);
    if (!verbose && damage.files.length > 10)
      lines.push(`  … and ${damage.files.length - 10} more files (-v shows all)`);
  }
  return lines;
}
