import * as Flags from '@oclif/core/flags';
import { EdgestoreCommand } from '../../base-command.ts';
import { renderTierPlan, type TierPlanData } from '../../render/tiers.ts';

export default class TierPlan extends EdgestoreCommand {
  static override summary = 'What would move to the bucket, and what that takes.';
  static override description = 'With --check, the exit code is 20 when there is something to do.';
  static override examples = [
    '<%= config.bin %> tier plan',
    '<%= config.bin %> tier plan --explain /srv/photos/old.jpg',
  ];
  static override flags = {
    explain: Flags.string({ helpValue: 'PATH', summary: 'Why this file would move or stay.' }),
    check: Flags.boolean({ summary: 'Exit 20 when there is something to do.' }),
  };

  override async run(): Promise<number> {
    const { flags } = await this.read(TierPlan);
    return await this.perform<TierPlanData>({
      operation: 'tier.plan',
      input: { explain: flags.explain, cwd: process.cwd(), check: flags.check },
      text: renderTierPlan,
    });
  }
}
