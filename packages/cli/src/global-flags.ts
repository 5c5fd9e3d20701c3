/** The flags that every command takes. */
import * as Flags from '@oclif/core/flags';

const GROUP = 'GLOBAL';

export const PROGRESS_MODES = ['auto', 'bar', 'plain', 'json'] as const;
export type ProgressMode = (typeof PROGRESS_MODES)[number];

export const globalFlags = {
  config: Flags.string({
    char: 'c',
    helpGroup: GROUP,
    helpValue: 'FILE',
    summary: 'Configuration file instead of the usual ones.',
  }),
  'data-dir': Flags.string({
    helpGroup: GROUP,
    helpValue: 'DIR',
    summary: 'Data dir (else EDGESTORE_DATA_DIR, the config, the default).',
  }),
  'key-file': Flags.string({
    helpGroup: GROUP,
    helpValue: 'F',
    summary: 'The key file, or the recovery sheet, that opens the vault.',
  }),
  json: Flags.boolean({ helpGroup: GROUP, summary: 'Print one JSON document.' }),
  quiet: Flags.boolean({
    char: 'q',
    helpGroup: GROUP,
    summary: 'No progress, no notes, no summary of what went well.',
  }),
  verbose: Flags.boolean({ char: 'v', helpGroup: GROUP, summary: 'More about what is done and why it failed.' }),
  'no-color': Flags.boolean({ helpGroup: GROUP, summary: 'No colours.' }),
  progress: Flags.option({ options: PROGRESS_MODES, default: 'auto' as const })({
    helpGroup: GROUP,
    summary: 'How to show progress on stderr.',
  }),
  'no-input': Flags.boolean({ helpGroup: GROUP, summary: 'Never ask anything; fail instead.' }),
  yes: Flags.boolean({ char: 'y', helpGroup: GROUP, summary: 'Answer every question with yes.' }),
  timeout: Flags.string({ helpGroup: GROUP, helpValue: 'D', summary: 'Stop after this long, e.g. 90s, 15m.' }),
};

/** For commands that change something. */
export const dryRunFlag = {
  'dry-run': Flags.boolean({ char: 'n', summary: 'Only say what would be done.' }),
};

/** For listings that can be long. */
export const ndjsonFlag = {
  ndjson: Flags.boolean({ exclusive: ['json'], summary: 'Print one JSON object a line, as they come.' }),
};

/** The global flag that an argument such as `-c`, `--json` or `--data-dir=/x` sets, or undefined. */
export function globalFlagNamed(argument: string): { readonly takesValue: boolean } | undefined {
  const name = argument.replace(/=.*$/s, '');
  for (const [key, flag] of Object.entries(globalFlags)) {
    if (name === `--${key}` || (flag.char !== undefined && name === `-${flag.char}`))
      return { takesValue: flag.type === 'option' };
  }
  return undefined;
}
