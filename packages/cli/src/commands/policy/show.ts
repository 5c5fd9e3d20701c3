import { EdgestoreCommand } from '../../base-command.ts';
import { type PolicyData, renderPolicy } from '../../render/policy.ts';

export default class PolicyShow extends EdgestoreCommand {
  static override summary = 'What holds for each root: copies, sites, tiers, limits, and where it was said.';
  static override examples = ['<%= config.bin %> policy show'];

  override async run(): Promise<number> {
    await this.read(PolicyShow);
    return await this.perform<PolicyData>({ operation: 'policy.show', input: {}, text: renderPolicy });
  }
}
