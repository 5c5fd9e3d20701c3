import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { EdgestoreCommand } from '../../base-command.ts';
import { dryRunFlag } from '../../global-flags.ts';
import { absolutePath } from '../../program/absolute-path.ts';
import { type RootData, renderRootAdded } from '../../render/roots.ts';

export default class RootAdd extends EdgestoreCommand {
  static override summary = 'Protect a folder.';
  static override examples = [
    '<%= config.bin %> root add /srv/photos',
    "<%= config.bin %> root add /srv/db --name db --exclude '*.tmp'",
  ];
  static override args = { path: Args.string({ required: true, description: 'the folder' }) };
  static override flags = {
    ...dryRunFlag,
    name: Flags.string({ helpValue: 'NAME', summary: "The root's name (default: the folder's)." }),
    exclude: Flags.string({
      multiple: true,
      multipleNonGreedy: true,
      helpValue: 'GLOB',
      summary: 'Leave out what matches (gitignore syntax).',
    }),
    watch: Flags.boolean({ allowNo: true, default: true, summary: 'Whether a running agent watches it.' }),
    'max-delete': Flags.string({
      helpValue: 'N|P%',
      summary: 'Refuse a snapshot that lacks more than this of the last one.',
    }),
    'one-file-system': Flags.boolean({ summary: 'Stay on its file system.' }),
    replication: Flags.string({ helpValue: 'NAME', summary: 'Which [replication.NAME] holds for it.' }),
    tiering: Flags.string({ helpValue: 'NAME', summary: 'Which [tiering.NAME] holds for it.' }),
  };

  override async run(): Promise<number> {
    const { args, flags } = await this.read(RootAdd);
    return await this.perform<RootData>({
      operation: 'root.add',
      input: {
        path: absolutePath(args.path),
        name: flags.name,
        exclude: flags.exclude ?? [],
        watch: flags.watch,
        maxDelete: flags['max-delete'],
        oneFileSystem: flags['one-file-system'],
        replication: flags.replication,
        tiering: flags.tiering,
        dryRun: flags['dry-run'],
      },
      text: renderRootAdded,
      onlyReports: true,
    });
  }
}
