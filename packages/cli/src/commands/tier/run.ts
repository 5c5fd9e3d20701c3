import * as Flags from '@oclif/core/flags';
import { EdgestoreCommand } from '../../base-command.ts';
import { dryRunFlag } from '../../global-flags.ts';
import { renderTierRun, type TierRunData } from '../../render/tiers.ts';

export default class TierRun extends EdgestoreCommand {
  static override summary = 'Move what is cold to the bucket, verify it there, then free it here.';
  static override examples = ['<%= config.bin %> tier run', '<%= config.bin %> tier run --dry-run'];
  static override flags = {
    ...dryRunFlag,
    plan: Flags.string({ helpValue: 'ID', summary: 'Only if the plan is still the one that was shown.' }),
  };

  override async run(): Promise<number> {
    const { flags } = await this.read(TierRun);
    return await this.perform<TierRunData>({
      operation: 'tier.run',
      input: { plan: flags.plan, dryRun: flags['dry-run'] },
      text: renderTierRun,
      onlyReports: !flags['dry-run'],
    });
  }
}
