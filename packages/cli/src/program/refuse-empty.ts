/**
 * An empty argument or flag is a shell variable that was not set. As a path it would mean the folder that the shell stands in, as a name or pattern
 * nothing at all; neither was meant.
 */
import { EdgeError } from '@edgestore/engine/errors';

export function refuseEmpty(flags: Readonly<Record<string, unknown>>, argv: readonly unknown[]): void {
  const flag = Object.entries(flags).find(([, value]) => value === '' || (Array.isArray(value) && value.includes('')));
  if (flag === undefined && !argv.includes('')) return;
  throw new EdgeError('E_USAGE', `${flag === undefined ? 'an argument' : `the value of --${flag[0]}`} is empty`, {
    hint: 'Was a shell variable not set? The folder that you are in is `.`',
  });
}
