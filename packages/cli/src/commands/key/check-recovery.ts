import * as Flags from '@oclif/core/flags';
import { EdgestoreCommand } from '../../base-command.ts';
import { readRecoveryText } from '../../program/read-recovery-text.ts';
import { type CheckRecoveryData, renderCheckRecovery } from '../../render/keys.ts';

export default class KeyCheckRecovery extends EdgestoreCommand {
  static override summary = 'Check that a recovery sheet opens this vault.';
  static override description = 'The sheet, or only its words, comes from a file, by stdin, or at the prompt.';
  static override examples = ['<%= config.bin %> key check-recovery --recovery-file sheet.txt'];
  static override flags = {
    'recovery-file': Flags.string({ helpValue: 'F', summary: 'The file that has the sheet.' }),
  };

  override async run(): Promise<number> {
    const { flags } = await this.read(KeyCheckRecovery);
    const recovery = await readRecoveryText(this.session, this.globals, flags['recovery-file']);
    return await this.perform<CheckRecoveryData>({
      operation: 'key.check-recovery',
      input: { recovery },
      text: renderCheckRecovery,
    });
  }
}
