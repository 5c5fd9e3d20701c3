import * as Flags from '@oclif/core/flags';
import { EdgestoreCommand } from '../../base-command.ts';
import { dryRunFlag } from '../../global-flags.ts';
import { absolutePath } from '../../program/absolute-path.ts';
import { type KeyAddData, renderKeyAdded } from '../../render/keys.ts';
import { readNewPassphrase } from '../../unlock/new-passphrase.ts';

export default class KeyAdd extends EdgestoreCommand {
  static override summary =
    'Add a way to open the vault: a passphrase, a key file, or a new copy of the recovery sheet.';
  static override description = 'Without flags a passphrase is asked for.';
  static override examples = [
    '<%= config.bin %> key add --label office',
    '<%= config.bin %> key add --new-key-file /media/usb/edgestore.key',
    '<%= config.bin %> key add --recovery-out /media/usb/sheet.txt',
  ];
  static override flags = {
    ...dryRunFlag,
    label: Flags.string({ helpValue: 'TEXT', summary: 'A name for the slot.' }),
    'new-passphrase-file': Flags.string({
      helpValue: 'F',
      summary: 'Read the new passphrase from this file.',
      exclusive: ['new-key-file', 'recovery-out', 'stored-key'],
    }),
    'new-key-file': Flags.string({
      helpValue: 'F',
      summary: 'A key file; created (0600) when absent.',
      exclusive: ['recovery-out', 'stored-key'],
    }),
    'stored-key': Flags.boolean({
      summary: 'Keep a key in the data dir, so that nothing is asked any more.',
      exclusive: ['recovery-out'],
    }),
    'recovery-out': Flags.string({ helpValue: 'F', summary: 'Write the recovery sheet to this new file (0600).' }),
  };

  override async run(): Promise<number> {
    const { flags } = await this.read(KeyAdd);
    const file = flags['new-key-file'];
    const sheet = flags['recovery-out'];
    const wantsPassphrase = file === undefined && sheet === undefined && !flags['stored-key'];
    return await this.perform<KeyAddData>({
      operation: 'key.add',
      input: {
        label: flags.label,
        passphrase:
          wantsPassphrase && !flags['dry-run']
            ? await readNewPassphrase(this.session, this.globals, flags['new-passphrase-file'])
            : undefined,
        keyFile: file === undefined ? undefined : absolutePath(file),
        storedKey: flags['stored-key'],
        recoveryOut: sheet === undefined ? undefined : absolutePath(sheet),
        dryRun: flags['dry-run'],
      },
      text: renderKeyAdded,
      onlyReports: true,
    });
  }
}
