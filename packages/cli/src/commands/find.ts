import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { EdgestoreCommand } from '../base-command.ts';
import { ndjsonFlag } from '../global-flags.ts';
import { type FoundEntry, type ListingData, renderFound } from '../render/entries.ts';
import { latestNote } from '../render/resolved.ts';

export default class Find extends EdgestoreCommand {
  static override summary = 'Find files by name in all snapshots, or in some.';
  static override description =
    'GLOB is matched against the path within the root; without a slash in it, against the name alone.';
  static override examples = [
    "<%= config.bin %> find '*.jpg'",
    "<%= config.bin %> find 'albums/**/cover.*' --snapshot latest --root photos",
  ];
  static override args = { glob: Args.string({ required: true, description: 'a glob, e.g. *.jpg' }) };
  static override flags = {
    ...ndjsonFlag,
    snapshot: Flags.string({ helpValue: 'ID', summary: 'Only in this snapshot.' }),
    root: Flags.string({ helpValue: 'NAME', summary: 'Only in snapshots of this root.' }),
    agent: Flags.string({ helpValue: 'NAME', summary: 'Whose snapshots (default: this agent).' }),
    long: Flags.boolean({ char: 'l', summary: 'With kind, mode, owner, size and time.' }),
  };

  override async run(): Promise<number> {
    const { args, flags } = await this.read(Find);
    return await this.perform<ListingData, FoundEntry>({
      operation: 'find',
      input: { glob: args.glob, snapshot: flags.snapshot, root: flags.root, agent: flags.agent },
      ndjson: flags.ndjson === true,
      item: (entry, context) => `${renderFound(entry, flags.long, context)}\n`,
      itemsKey: 'entries',
      text: () => [],
      notes: latestNote(flags.snapshot),
    });
  }
}
