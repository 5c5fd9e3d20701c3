import * as Flags from '@oclif/core/flags';
import { EdgestoreCommand } from '../../base-command.ts';
import { renderSnapshots, type SnapshotListData } from '../../render/snapshots.ts';

export default class SnapshotList extends EdgestoreCommand {
  static override summary = 'List snapshots, newest last.';
  static override examples = [
    '<%= config.bin %> snapshot list',
    '<%= config.bin %> snapshot list --root photos --json',
  ];
  static override flags = {
    root: Flags.string({ helpValue: 'NAME', summary: 'Only of this root.' }),
    agent: Flags.string({ helpValue: 'NAME', summary: 'Whose snapshots (default: this agent; `all` for every one).' }),
    'include-forgotten': Flags.boolean({ summary: 'Also those that were forgotten.' }),
  };

  override async run(): Promise<number> {
    const { flags } = await this.read(SnapshotList);
    return await this.perform<SnapshotListData>({
      operation: 'snapshot.list',
      input: { root: flags.root, agent: flags.agent, includeForgotten: flags['include-forgotten'] },
      text: renderSnapshots,
    });
  }
}
