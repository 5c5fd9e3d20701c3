import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { EdgestoreCommand } from '../base-command.ts';
import { ndjsonFlag } from '../global-flags.ts';
import { snapshotFlags } from '../program/snapshot-flags.ts';
import { type ListedEntry, type ListingData, renderEntry } from '../render/entries.ts';
import { latestNote } from '../render/resolved.ts';

export default class Ls extends EdgestoreCommand {
  static override summary = 'List what a snapshot holds at a path.';
  static override examples = ['<%= config.bin %> ls latest', '<%= config.bin %> ls latest:albums --recursive --long'];
  static override args = { snapshot: Args.string({ required: true, description: 'SNAPSHOT[:PATH]' }) };
  static override flags = {
    ...ndjsonFlag,
    ...snapshotFlags,
    long: Flags.boolean({ char: 'l', summary: 'With kind, mode, owner, size and time.' }),
    recursive: Flags.boolean({ char: 'R', summary: 'Also what lies in folders below.' }),
  };

  override async run(): Promise<number> {
    const { args, flags } = await this.read(Ls);
    return await this.perform<ListingData, ListedEntry>({
      operation: 'ls',
      input: {
        snapshot: args.snapshot,
        root: flags.root,
        agent: flags.agent,
        at: flags.at,
        recursive: flags.recursive,
      },
      ndjson: flags.ndjson === true,
      item: (entry, context) => `${renderEntry(entry, flags.long, context)}\n`,
      itemsKey: 'entries',
      text: () => [],
      notes: latestNote(args.snapshot),
    });
  }
}
