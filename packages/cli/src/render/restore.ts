/** Text of `restore` and its estimate. */
import type { RestoreData } from '@edgestore/agent/operations/restore';
import { formatBytes, formatDuration } from '@edgestore/engine/units';
import type { TextContext } from '../base-command.ts';
import { formatCount } from '../output/numbers.ts';
import { printable } from '../output/printable.ts';
import { failureLines } from './failures.ts';
import { shortId } from './lines.ts';

export type { RestoreData };

export function renderRestore(data: RestoreData, context: TextContext): string[] {
  const { colours } = context;
  const { files, bytes } = data;
  const sources = Object.entries(bytes.from)
    .filter(([, count]) => count > 0)
    .map(([source, count]) => `${source} ${formatBytes(count)}`)
    .join(', ');
  const from = sources === '' ? '' : ` from ${sources}`;
  if (data.estimate === true) {
    return [
      `${colours.bold(data.root)}: snapshot ${shortId(data.snapshot)} would restore ${formatCount(files.restored)} entries, ${formatBytes(bytes.written)}`,
      `  to be read${from === '' ? ': nothing' : from}`,
      ...failureLines(data.failures, context),
    ];
  }
  return [
    `${colours.bold(data.root)}: snapshot ${colours.green(shortId(data.snapshot))} restored to ${printable(data.target ?? '')}`,
    `  ${formatCount(files.restored)} restored, ${formatCount(files.skipped)} skipped, ${files.failed > 0 ? colours.red(`${formatCount(files.failed)} failed`) : '0 failed'}`,
    `  ${formatBytes(bytes.written)} written${from}, in ${formatDuration(1000 * data.duration_s)}`,
    ...failureLines(data.failures, context),
  ];
}
