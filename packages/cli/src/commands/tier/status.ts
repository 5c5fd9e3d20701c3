import { EdgestoreCommand } from '../../base-command.ts';
import { renderTierStatus, type TierStatusData } from '../../render/tiers.ts';

export default class TierStatus extends EdgestoreCommand {
  static override summary = 'How much lies in which tier.';
  static override examples = ['<%= config.bin %> tier status'];

  override async run(): Promise<number> {
    await this.read(TierStatus);
    return await this.perform<TierStatusData>({ operation: 'tier.status', input: {}, text: renderTierStatus });
  }
}
