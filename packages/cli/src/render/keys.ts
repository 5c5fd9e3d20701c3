/** Text of the `key` commands. */
import type { CheckRecoveryData, KeyAddData, KeyListData, KeyRemoveData } from '@edgestore/agent/operations/key-data';
import type { TextContext } from '../base-command.ts';
import { printable } from '../output/printable.ts';
import { shortId, table } from './lines.ts';

export type { CheckRecoveryData, KeyAddData, KeyListData, KeyRemoveData };

export function renderKeys({ slots }: KeyListData): string[] {
  const rows = slots.map((slot) => [shortId(slot.id), slot.type, printable(slot.label), slot.note ?? '']);
  return table(['SLOT', 'OPENED BY', 'LABEL', ''], rows);
}

export function renderKeyAdded(data: KeyAddData, { colours }: TextContext): string[] {
  if (data.dry_run) return ['A key slot would be added'];
  if (data.recovery_out !== null) return [`The recovery sheet was written to ${printable(data.recovery_out)}`];
  return [`Key slot ${colours.green(shortId(data.slot ?? ''))} added (${data.type})`];
}

export function renderKeyRemoved(data: KeyRemoveData): string[] {
  const lines = [`Key slot ${shortId(data.slot)} (${data.type}) ${data.dry_run ? 'would be removed' : 'removed'}`];
  if (data.withdrawn.length > 0) lines.push(`  also from: ${data.withdrawn.map((one) => printable(one)).join(', ')}`);
  for (const { name, message } of data.pending)
    lines.push(`  still usable at ${printable(name)} until it is reached: ${printable(message)}`);
  return lines;
}

export function renderCheckRecovery(data: CheckRecoveryData, { colours }: TextContext): string[] {
  return [
    colours.green(`The recovery sheet opens vault ${shortId(data.vault)}.`),
    ...data.notes.map((note) => `  ${printable(note)}`),
  ];
}
