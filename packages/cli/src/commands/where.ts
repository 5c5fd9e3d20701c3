import * as Args from '@oclif/core/args';
import { EdgestoreCommand } from '../base-command.ts';
import { snapshotFlags } from '../program/snapshot-flags.ts';
import { renderWhere, type WhereData } from '../render/where.ts';

export default class Where extends EdgestoreCommand {
  static override summary = 'Where the copies of a file or chunk are.';
  static override examples = [
    '<%= config.bin %> where /srv/photos/a.jpg',
    '<%= config.bin %> where latest:a.jpg',
    '<%= config.bin %> where latest:albums --root photos',
  ];
  static override args = {
    what: Args.string({ required: true, description: 'PATH of a file in a root, SNAPSHOT:PATH, or a CHUNK id' }),
  };
  static override flags = { ...snapshotFlags };

  override async run(): Promise<number> {
    const { args, flags } = await this.read(Where);
    return await this.perform<WhereData>({
      operation: 'where',
      input: { what: args.what, cwd: process.cwd(), root: flags.root, agent: flags.agent, at: flags.at },
      text: renderWhere,
    });
  }
}
