import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { EdgestoreCommand } from '../../base-command.ts';
import { dryRunFlag } from '../../global-flags.ts';
import { type PinData, renderPin } from '../../render/snapshots.ts';

export default class SnapshotPin extends EdgestoreCommand {
  static override summary = 'Keep a snapshot whatever retention says.';
  static override examples = ['<%= config.bin %> snapshot pin 3f2a91c0 --reason "before the move"'];
  static override args = {
    snapshot: Args.string({ required: true, description: 'an id, the beginning of one, or latest' }),
  };
  static override flags = {
    ...dryRunFlag,
    root: Flags.string({ helpValue: 'NAME', summary: 'Which root `latest` is of.' }),
    reason: Flags.string({ helpValue: 'TEXT', summary: 'Why; shown with the snapshot.' }),
  };

  override async run(): Promise<number> {
    const { args, flags } = await this.read(SnapshotPin);
    return await this.perform<PinData>({
      operation: 'snapshot.pin',
      input: { snapshot: args.snapshot, root: flags.root, reason: flags.reason, dryRun: flags['dry-run'] },
      text: renderPin,
      onlyReports: true,
    });
  }
}
