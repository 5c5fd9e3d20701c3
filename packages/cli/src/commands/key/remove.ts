import * as Args from '@oclif/core/args';
import { EdgestoreCommand } from '../../base-command.ts';
import { dryRunFlag } from '../../global-flags.ts';
import { confirm } from '../../program/confirm.ts';
import { type KeyRemoveData, renderKeyRemoved } from '../../render/keys.ts';

export default class KeyRemove extends EdgestoreCommand {
  static override summary =
    'Remove a key slot, here and from peers and buckets as soon as they are reached. Whoever knows the vault key already is not stopped by that.';
  static override examples = ['<%= config.bin %> key remove 9c41aa02'];
  static override args = {
    slot: Args.string({ required: true, description: "the slot's id, or the beginning of it" }),
  };
  static override flags = { ...dryRunFlag };

  override async run(): Promise<number> {
    const { args, flags } = await this.read(KeyRemove);
    if (!flags['dry-run']) await confirm(this.session, this.globals, `Remove the key slot ${args.slot}?`);
    return await this.perform<KeyRemoveData>({
      operation: 'key.remove',
      input: { slot: args.slot, dryRun: flags['dry-run'] },
      text: renderKeyRemoved,
      onlyReports: true,
    });
  }
}
