/** The table of faults; docs/faults.md is made from it (`node scripts/make-faults-page.mjs --write`). */
import { OPEN } from '../open.ts';
import { ATTACK_ROWS } from './attack-rows.ts';
import { INPUT_ROWS } from './input-rows.ts';
import { MATRIX_ROWS } from './matrix-rows.ts';
import { MORE_INPUT_ROWS } from './more-input-rows.ts';
import type { FaultRow } from './row.ts';
import { STORE_ROWS } from './store-rows.ts';

const PARTS: readonly (readonly [title: string, rows: readonly FaultRow[]])[] = [
  ['Store, log and replication', STORE_ROWS],
  ['Machines, media, networks, peers', MATRIX_ROWS],
  ['Members, sources, administrators', ATTACK_ROWS],
  ['Bad inputs', byNumber([...INPUT_ROWS, ...MORE_INPUT_ROWS])],
];

export const FAULT_ROWS: readonly FaultRow[] = PARTS.flatMap(([, rows]) => rows);

/** The text of docs/faults.md. */
export function faultsPage(): string {
  const open = Object.entries(OPEN);
  const lines = [
    '# Faults, and what holds then',
    '',
    'Made from `test/faults/table` by `node scripts/make-faults-page.mjs --write`; a test compares, and looks up every test that is named here.',
    'Every fault is injected into real processes and real files wherever a row does not name a test below `packages/`.',
    '',
    ...PARTS.flatMap(([title, rows]) => [
      `## ${title}`,
      '',
      '| # | fault | injected by | must hold | tests |',
      '|---|---|---|---|---|',
      ...rows.map((row) => `| ${[row.id, row.fault, row.injected, row.holds, testsOf(row)].map(cell).join(' | ')} |`),
      '',
    ]),
  ];
  if (open.length > 0) {
    lines.push('## Open', '', 'These tests are written as the product must be, and fail today.', '');
    for (const [name, { area, today }] of open) lines.push(`- ${area}: ${name}. Today: ${today}.`);
    lines.push('');
  }
  return lines.join('\n');
}

function testsOf({ tests, untested }: FaultRow): string {
  const byFile = Map.groupBy(tests, ([file]) => file);
  const named = [...byFile].map(([file, list]) => `\`${file}\`: ${list.map(([, name]) => name).join('; ')}`);
  if (untested !== undefined) named.push(`${tests.length === 0 ? 'untested' : 'not tested'}: ${untested}`);
  return named.join('<br>');
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}

function byNumber(rows: readonly FaultRow[]): readonly FaultRow[] {
  return rows.toSorted((a, b) => Number(a.id.slice(1)) - Number(b.id.slice(1)));
}
