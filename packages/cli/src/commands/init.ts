import * as Flags from '@oclif/core/flags';
import { EdgestoreCommand } from '../base-command.ts';
import { dryRunFlag } from '../global-flags.ts';
import { absolutePath } from '../program/absolute-path.ts';
import { type InitData, renderInit } from '../render/init.ts';

export default class Init extends EdgestoreCommand {
  static override summary = 'Make a new vault, and this machine its first agent.';
  static override description =
    'The recovery sheet is printed once on a terminal, or written to a file: with it and one copy, everything can be brought back.';
  static override examples = [
    '<%= config.bin %> init',
    '<%= config.bin %> init --name till-3 --site shop --recovery-out /media/usb/sheet.txt',
  ];
  static override flags = {
    ...dryRunFlag,
    name: Flags.string({ helpValue: 'NAME', summary: "The agent's name (default: the host's)." }),
    site: Flags.string({ helpValue: 'SITE', summary: "The agent's site (default: default)." }),
    'key-file': Flags.string({
      helpValue: 'F',
      summary: 'A key file that opens the vault; created (0600) when absent.',
    }),
    'no-stored-key': Flags.boolean({ summary: 'Keep no key in the data dir; every command asks for one.' }),
    'recovery-out': Flags.string({ helpValue: 'F', summary: 'Write the recovery sheet to this new file (0600).' }),
  };

  override async run(): Promise<number> {
    const { flags } = await this.read(Init);
    return await this.perform<InitData>({
      operation: 'init',
      input: {
        name: flags.name,
        site: flags.site,
        keyFile: flags['key-file'] === undefined ? undefined : absolutePath(flags['key-file']),
        storedKey: !flags['no-stored-key'],
        recoveryOut: flags['recovery-out'] === undefined ? undefined : absolutePath(flags['recovery-out']),
        dryRun: flags['dry-run'],
      },
      text: renderInit,
    });
  }
}
