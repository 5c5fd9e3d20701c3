import { EdgestoreCommand } from '../../base-command.ts';
import { type ConfigShowData, renderConfig } from '../../render/config.ts';

export default class ConfigShow extends EdgestoreCommand {
  static override summary =
    'Print the configuration that is in force, with where each value was set; secrets are masked.';
  static override examples = ['<%= config.bin %> config show'];

  override async run(): Promise<number> {
    await this.read(ConfigShow);
    return await this.perform<ConfigShowData>({ operation: 'config.show', input: {}, text: renderConfig });
  }
}
