/** Text of `init`. */
import type { InitData } from '@edgestore/agent/operations/init';
import type { TextContext } from '../base-command.ts';
import { printable } from '../output/printable.ts';
import { facts, shortId } from './lines.ts';

export type { InitData };

export function renderInit(data: InitData, { colours }: TextContext): string[] {
  const what = data.dry_run
    ? 'Would make a vault'
    : data.created
      ? `Vault ${colours.green(shortId(data.vault ?? ''))} made`
      : `Already a vault: ${shortId(data.vault ?? '')}`;
  return [
    what,
    ...facts([
      ['agent', `${data.name} at site ${data.site}`],
      ['data dir', printable(data.data_dir)],
      ['opened by', data.key_slots.map((slot) => slot.type).join(', ') || undefined],
      ['recovery sheet', data.recovery_out === null ? undefined : printable(data.recovery_out)],
    ]),
    ...(data.created && !data.dry_run ? ['', 'Next: edgestore sync FOLDER'] : []),
  ];
}
