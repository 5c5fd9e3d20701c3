/** Text of `sync`. */
import type { SyncData, SyncRootData } from '@edgestore/agent/operations/sync';
import { formatBytes, formatDuration } from '@edgestore/engine/units';
import type { TextContext } from '../base-command.ts';
import { formatCount } from '../output/numbers.ts';
import { failureLines } from './failures.ts';
import { shortId } from './lines.ts';

export type { SyncData };

export function renderSync(data: SyncData, context: TextContext): string[] {
  if (data.roots.length === 0) return ['No roots: give a path, or add one with `edgestore root add`.'];
  return data.roots.flatMap((root) => rootLines(root, context));
}

function rootLines(root: SyncRootData, context: TextContext): string[] {
  const { colours } = context;
  const { files, bytes, chunks } = root;
  const ratio = bytes.new > 0 ? ` (${Math.round((100 * bytes.stored) / bytes.new)} % of it)` : '';
  const what =
    root.snapshot === null
      ? root.error === undefined
        ? colours.yellow('no snapshot (dry run)')
        : colours.red(`no snapshot: ${root.error.message}`)
      : `snapshot ${colours.green(shortId(root.snapshot))}${root.unchanged === true ? ', nothing changed' : ''}`;
  return [
    `${colours.bold(root.root)}: ${what}`,
    `  files   ${formatCount(files.new)} new, ${formatCount(files.changed)} changed, ${formatCount(files.unchanged)} unchanged, ${formatCount(files.removed)} removed${files.failed > 0 ? `, ${colours.red(`${formatCount(files.failed)} failed`)}` : ''}`,
    `  bytes   ${formatBytes(bytes.scanned)} scanned, ${formatBytes(bytes.read)} read, ${formatBytes(bytes.new)} new, ${formatBytes(bytes.stored)} stored${ratio}`,
    `  chunks  ${formatCount(chunks.new)} new, ${formatCount(chunks.reused)} reused`,
    `  safe    ${root.durability}   in ${formatDuration(1000 * root.duration_s)}`,
    ...failureLines(root.failures, context),
  ];
}
