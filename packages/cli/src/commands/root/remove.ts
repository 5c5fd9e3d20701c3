import * as Args from '@oclif/core/args';
import { EdgestoreCommand } from '../../base-command.ts';
import { dryRunFlag } from '../../global-flags.ts';
import { type RootRemovedData, renderRootRemoved } from '../../render/roots.ts';

export default class RootRemove extends EdgestoreCommand {
  static override summary = 'Stop protecting a folder; its snapshots stay.';
  static override examples = ['<%= config.bin %> root remove photos'];
  static override args = { name: Args.string({ required: true, description: "the root's name" }) };
  static override flags = { ...dryRunFlag };

  override async run(): Promise<number> {
    const { args, flags } = await this.read(RootRemove);
    return await this.perform<RootRemovedData>({
      operation: 'root.remove',
      input: { name: args.name, dryRun: flags['dry-run'] },
      text: renderRootRemoved,
      onlyReports: true,
    });
  }
}
