/** Text of the `config` commands. */
import type { ConfigShowData, ConfigValidData } from '@edgestore/agent/operations/config-data';
import type { TextContext } from '../base-command.ts';
import { printable } from '../output/printable.ts';

export type { ConfigShowData, ConfigValidData };

export function renderConfigValid({ files }: ConfigValidData, { colours }: TextContext): string[] {
  if (files.length === 0) return ['No configuration files; the defaults hold.'];
  return [colours.green('The configuration is valid.'), ...files.map((file) => `  ${printable(file)}`)];
}

export function renderConfig({ values }: ConfigShowData, { colours }: TextContext): string[] {
  const width = Math.max(0, ...values.map((value) => value.key.length));
  return values.map(
    ({ key, value, origin }) =>
      `${key.padEnd(width)} = ${printable(JSON.stringify(value) ?? 'null')}  ${colours.dim(`# ${printable(origin)}`)}`,
  );
}
