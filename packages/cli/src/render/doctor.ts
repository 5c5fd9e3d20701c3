/** Text of `doctor`. */
import type { DoctorData } from '@edgestore/agent/operations/doctor';
import type { TextContext } from '../base-command.ts';
import { printable } from '../output/printable.ts';

export type { DoctorData };

export function renderDoctor(data: DoctorData, { colours }: TextContext): string[] {
  const mark = { ok: colours.green('ok     '), warning: colours.yellow('warning'), problem: colours.red('problem') };
  return data.checks.flatMap((check) => [
    `${mark[check.result]}  ${check.what}: ${printable(check.message)}`,
    ...(check.hint === undefined ? [] : [`         ${printable(check.hint)}`]),
  ]);
}
