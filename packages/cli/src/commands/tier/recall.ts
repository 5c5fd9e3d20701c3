import * as Args from '@oclif/core/args';
import { EdgestoreCommand } from '../../base-command.ts';
import { dryRunFlag } from '../../global-flags.ts';
import { snapshotFlags } from '../../program/snapshot-flags.ts';
import { type RecallData, renderRecall } from '../../render/tiers.ts';

export default class TierRecall extends EdgestoreCommand {
  static override summary = 'Bring a file or folder of a snapshot back from the bucket into the local packs.';
  static override examples = [
    '<%= config.bin %> tier recall /srv/photos/2019',
    '<%= config.bin %> tier recall latest:2019 --root photos',
  ];
  static override args = { path: Args.string({ required: true, description: 'PATH in a root, or SNAPSHOT:PATH' }) };
  static override flags = { ...dryRunFlag, ...snapshotFlags };

  override async run(): Promise<number> {
    const { args, flags } = await this.read(TierRecall);
    return await this.perform<RecallData>({
      operation: 'tier.recall',
      input: {
        path: args.path,
        cwd: process.cwd(),
        root: flags.root,
        agent: flags.agent,
        at: flags.at,
        dryRun: flags['dry-run'],
      },
      text: renderRecall,
      onlyReports: true,
    });
  }
}
