import * as Args from '@oclif/core/args';
import { EdgestoreCommand } from '../../base-command.ts';
import { absolutePath } from '../../program/absolute-path.ts';
import { type CheckIgnoreData, renderCheckIgnore } from '../../render/roots.ts';

export default class RootCheckIgnore extends EdgestoreCommand {
  static override summary = 'Say whether paths are left out, and by which rule.';
  static override description = 'Exit 0 in either case; `ignored` in --json tells them apart.';
  static override examples = ['<%= config.bin %> root check-ignore /srv/photos/tmp/a.jpg'];
  static override strict = false;
  static override args = { path: Args.string({ required: true, description: 'files or folders in a root' }) };

  override async run(): Promise<number> {
    const { argv } = await this.read(RootCheckIgnore);
    return await this.perform<CheckIgnoreData>({
      operation: 'root.check-ignore',
      input: { paths: argv.map(absolutePath) },
      text: renderCheckIgnore,
    });
  }
}
