import { EdgestoreCommand } from '../../base-command.ts';
import { type ConfigValidData, renderConfigValid } from '../../render/config.ts';

export default class ConfigValidate extends EdgestoreCommand {
  static override summary = 'Check the configuration; all errors at once, with file, line and the nearest valid name.';
  static override examples = [
    '<%= config.bin %> config validate',
    '<%= config.bin %> config validate --config new.toml',
  ];

  override async run(): Promise<number> {
    await this.read(ConfigValidate);
    return await this.perform<ConfigValidData>({ operation: 'config.validate', input: {}, text: renderConfigValid });
  }
}
