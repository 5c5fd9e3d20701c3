/** Text of `where`. */
import type { WhereData } from '@edgestore/agent/operations/where';
import type { TextContext } from '../base-command.ts';
import { formatCount } from '../output/numbers.ts';
import { shortId, shownPath, shownTime, table } from './lines.ts';

export type { WhereData };

export function renderWhere(data: WhereData, { colours }: TextContext): string[] {
  const what =
    data.path === undefined
      ? `chunk ${data.chunk}`
      : `${shownPath({ ...data, path: data.path }) || '/'} in ${shortId(data.snapshot ?? '')}`;
  const rows = data.copies.map((copy) => [
    copy.agent,
    copy.site ?? '-',
    copy.tier,
    copy.complete ? 'all' : `${formatCount(copy.chunks)} of ${formatCount(data.chunks)}`,
    copy.asked === null ? '-' : shownTime(copy.asked),
  ]);
  return [
    ...(data.damaged === true
      ? [colours.yellow('The snapshot is damaged: chunks that it needs are in no store. It is whole nowhere.')]
      : []),
    `${colours.bold(what)}: ${formatCount(data.chunks)} chunks`,
    ...table(['AGENT', 'SITE', 'TIER', 'CHUNKS', 'ASKED'], rows),
    ...(data.unplaced > 0 ? [colours.red(`${formatCount(data.unplaced)} chunks are in no place that is known.`)] : []),
  ];
}
