/** Text of `where`. */
import type { WhereData } from '@edgestore/agent/operations/where';
import type { TextContext } from '../base-command.ts';
import { formatByteCount } from '../output/numbers.ts';
import { shortId, shownPath, shownTime, table } from './lines.ts';

export type { WhereData };

export function renderWhere(data: WhereData, { colours, verbose }: TextContext): string[] {
  const head =
    data.path === undefined
      ? `chunk ${colours.bold(data.chunks[0]?.id ?? '')}`
      : `${colours.bold(shownPath({ path: data.path }))} in ${shortId(data.snapshot ?? '')}: ${data.chunks.length} chunks, ${formatByteCount(data.size ?? 0)}`;
  const lines = [head];
  const rows = data.places.map((place) => [
    place.agent,
    place.site ?? '-',
    place.tier,
    `${place.chunks} of ${data.chunks.length}`,
    place.verified === null ? 'never' : shownTime(place.verified),
  ]);
  lines.push(...table(['AGENT', 'SITE', 'TIER', 'CHUNKS', 'LAST VERIFIED'], rows, [3]));
  if (rows.length === 0) lines.push(colours.red('No copy is known.'));
  if (verbose) {
    for (const chunk of data.chunks) {
      lines.push(
        colours.dim(
          `  ${chunk.id} ${chunk.bytes ?? '?'} bytes: ${chunk.copies.map((c) => `${c.agent} ${c.tier}${c.pack === undefined ? '' : ` ${shortId(c.pack)}`}`).join(', ') || 'no copy'}`,
        ),
      );
    }
  }
  return lines;
}
