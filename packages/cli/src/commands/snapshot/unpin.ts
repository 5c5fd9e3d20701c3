import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { EdgestoreCommand } from '../../base-command.ts';
import { dryRunFlag } from '../../global-flags.ts';
import { type PinData, renderPin } from '../../render/snapshots.ts';

export default class SnapshotUnpin extends EdgestoreCommand {
  static override summary = 'Take a pin off a snapshot.';
  static override examples = ['<%= config.bin %> snapshot unpin 3f2a91c0'];
  static override args = {
    snapshot: Args.string({ required: true, description: 'an id, the beginning of one, or latest' }),
  };
  static override flags = {
    ...dryRunFlag,
    root: Flags.string({ helpValue: 'NAME', summary: 'Which root `latest` is of.' }),
  };

  override async run(): Promise<number> {
    const { args, flags } = await this.read(SnapshotUnpin);
    return await this.perform<PinData>({
      operation: 'snapshot.unpin',
      input: { snapshot: args.snapshot, root: flags.root, dryRun: flags['dry-run'] },
      text: renderPin,
      onlyReports: true,
    });
  }
}
