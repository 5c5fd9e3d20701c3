import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { EdgestoreCommand } from '../base-command.ts';
import { dryRunFlag } from '../global-flags.ts';
import { absolutePath } from '../program/absolute-path.ts';
import { keyValues } from '../program/key-values.ts';
import { renderSync, type SyncData } from '../render/sync.ts';

export default class Sync extends EdgestoreCommand {
  static override summary = 'Capture roots now, or the given paths.';
  static override description = 'A path that is no root becomes an unwatched root named after it.';
  static override examples = [
    '<%= config.bin %> sync',
    '<%= config.bin %> sync /srv/photos',
    '<%= config.bin %> sync --wait sites=2 --tag reason=upgrade',
  ];
  static override strict = false;
  static override args = {
    path: Args.string({ description: 'roots (by path) or folders to capture; all roots when none is given' }),
  };
  static override flags = {
    ...dryRunFlag,
    wait: Flags.string({
      helpValue: 'local|peers=N|sites=N|s3',
      summary: 'How safe it must be before the command ends (default: local).',
    }),
    'full-scan': Flags.boolean({ summary: 'Read every file again, changed or not.' }),
    'max-delete': Flags.string({
      helpValue: 'N|P%',
      summary: 'Refuse a snapshot that lacks more than this of the last one.',
    }),
    tag: Flags.string({
      multiple: true,
      multipleNonGreedy: true,
      helpValue: 'K=V',
      summary: 'Note kept with the snapshot.',
    }),
  };

  // The operation itself ends when the time is over, with what it reached; the session only if it does not.
  protected override readonly timeoutGraceMs = 10_000;

  override async run(): Promise<number> {
    const { flags, argv } = await this.read(Sync);
    return await this.perform<SyncData>({
      operation: 'sync',
      input: {
        paths: argv.map(absolutePath),
        wait: flags.wait,
        fullScan: flags['full-scan'],
        maxDelete: flags['max-delete'],
        tags: keyValues(flags.tag ?? [], '--tag'),
        dryRun: flags['dry-run'],
        timeout: flags.timeout,
      },
      text: renderSync,
      onlyReports: true,
    });
  }
}
