import { EdgestoreCommand } from '../../base-command.ts';
import { type RootListData, renderRoots } from '../../render/roots.ts';

export default class RootList extends EdgestoreCommand {
  static override summary = 'List the protected folders.';
  static override examples = ['<%= config.bin %> root list'];

  override async run(): Promise<number> {
    await this.read(RootList);
    return await this.perform<RootListData>({ operation: 'root.list', input: {}, text: renderRoots });
  }
}
