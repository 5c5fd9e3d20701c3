/** Text of `policy show`. */
import type { PolicyData } from '@edgestore/agent/operations/policy';
import type { TextContext } from '../base-command.ts';
import { printable } from '../output/printable.ts';
import { table } from './lines.ts';

export type { PolicyData };

export function renderPolicy({ roots }: PolicyData, { colours }: TextContext): string[] {
  if (roots.length === 0) return ['No roots.'];
  return roots.flatMap((root, i) => [
    ...(i === 0 ? [] : ['']),
    `${colours.bold(root.root)} (${printable(root.path)})`,
    ...table(
      ['  RULE', 'VALUE', 'FROM'],
      root.rules.map((rule) => [`  ${rule.key}`, shown(rule.value), rule.origin]),
    ),
  ]);
}

function shown(value: unknown): string {
  return value === null ? '-' : printable(typeof value === 'string' ? value : JSON.stringify(value));
}
