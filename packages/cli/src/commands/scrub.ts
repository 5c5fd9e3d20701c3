import * as Flags from '@oclif/core/flags';
import { EdgestoreCommand } from '../base-command.ts';
import { dryRunFlag } from '../global-flags.ts';
import { renderScrub, type ScrubData } from '../render/scrub.ts';

export default class Scrub extends EdgestoreCommand {
  static override summary = 'Read stored packs again and check every byte.';
  static override description =
    'Exit 20 when damage was found. With --all also exit 7 when something that a snapshot needs is in no place any more, and 3 when places that may have it could not be asked. The files are named.';
  static override examples = ['<%= config.bin %> scrub', '<%= config.bin %> scrub --all --repair --dry-run'];
  static override flags = {
    ...dryRunFlag,
    sample: Flags.string({
      helpValue: 'P%',
      summary: 'How much of the packs to read (default: 5%).',
      exclusive: ['all'],
    }),
    all: Flags.boolean({ summary: 'Read every pack.' }),
    repair: Flags.boolean({
      summary: 'Bring good copies of damaged chunks back from elsewhere; mend a damaged log of this agent.',
    }),
  };

  override async run(): Promise<number> {
    const { flags } = await this.read(Scrub);
    return await this.perform<ScrubData>({
      operation: 'scrub',
      input: { sample: flags.sample, all: flags.all, repair: flags.repair, dryRun: flags['dry-run'] },
      text: renderScrub,
    });
  }
}
