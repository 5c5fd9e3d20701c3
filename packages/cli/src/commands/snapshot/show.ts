import * as Args from '@oclif/core/args';
import { EdgestoreCommand } from '../../base-command.ts';
import { snapshotFlags } from '../../program/snapshot-flags.ts';
import { renderSnapshot, type SnapshotShowData } from '../../render/snapshots.ts';

export default class SnapshotShow extends EdgestoreCommand {
  static override summary = 'Everything about one snapshot.';
  static override examples = ['<%= config.bin %> snapshot show latest'];
  static override args = {
    snapshot: Args.string({ required: true, description: 'an id, the beginning of one, or latest' }),
  };
  static override flags = { ...snapshotFlags };

  override async run(): Promise<number> {
    const { args, flags } = await this.read(SnapshotShow);
    return await this.perform<SnapshotShowData>({
      operation: 'snapshot.show',
      input: { snapshot: args.snapshot, root: flags.root, agent: flags.agent, at: flags.at },
      text: renderSnapshot,
    });
  }
}
