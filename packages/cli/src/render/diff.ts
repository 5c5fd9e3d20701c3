/** Text of `snapshot diff`. */
import type { DiffData, DiffItem } from '@edgestore/agent/operations/snapshot-diff';
import { formatBytes } from '@edgestore/engine/units';
import type { TextContext } from '../base-command.ts';
import { formatCount } from '../output/numbers.ts';
import { shortId, shownPath } from './lines.ts';

export type { DiffData, DiffItem };

export function renderDiffItem(item: DiffItem, { colours }: TextContext): string {
  const paint = {
    added: colours.green,
    removed: colours.red,
    type: colours.yellow,
    content: colours.yellow,
    metadata: colours.dim,
  }[item.change];
  return `${paint(SIGN[item.change])} ${shownPath(item)}${item.type === 'dir' ? '/' : ''}`;
}

export function renderDiffSummary(data: DiffData): string[] {
  const { added, removed, type, content, metadata } = data.counts;
  const sign = data.bytes_difference < 0 ? '-' : '+';
  return [
    `${shortId(data.from)} -> ${shortId(data.to)}: ${formatCount(added)} added, ${formatCount(removed)} removed, ${formatCount(content + type)} changed, ${formatCount(metadata)} with other metadata only; ${sign}${formatBytes(Math.abs(data.bytes_difference))}`,
  ];
}

const SIGN = { added: '+', removed: '-', type: 'T', content: 'M', metadata: 'm' } as const;
