import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { EdgestoreCommand } from '../base-command.ts';
import { dryRunFlag } from '../global-flags.ts';
import { absolutePath } from '../program/absolute-path.ts';
import { confirm } from '../program/confirm.ts';
import { type RestoreData, renderRestore } from '../render/restore.ts';

export default class Restore extends EdgestoreCommand {
  static override summary = 'Bring files back from a snapshot.';
  static override description =
    "The target gets the root's contents. What was written is verified; what could not be given is named.";
  static override examples = [
    '<%= config.bin %> restore latest --target /srv/photos',
    '<%= config.bin %> restore 3f2a91c0:albums/2024 --target /tmp/albums',
    '<%= config.bin %> restore latest --root photos --in-place --overwrite if-changed',
  ];
  static override args = {
    snapshot: Args.string({
      required: true,
      description: 'SNAPSHOT[:SUBPATH]; an id, the beginning of one, or latest',
    }),
  };
  static override flags = {
    ...dryRunFlag,
    target: Flags.string({
      helpValue: 'DIR',
      summary: 'An absent or empty folder to restore into.',
      exclusive: ['in-place'],
    }),
    'in-place': Flags.boolean({ summary: 'Restore over the root where it stands.', dependsOn: ['overwrite'] }),
    overwrite: Flags.option({ options: ['never', 'if-changed', 'if-newer', 'always'] as const })({
      summary: 'With --in-place: which files that are there are replaced.',
    }),
    delete: Flags.boolean({
      summary: 'With --in-place: also remove what the snapshot does not have.',
      dependsOn: ['in-place'],
    }),
    root: Flags.string({ helpValue: 'NAME', summary: 'Which root `latest` is of.' }),
    agent: Flags.string({ helpValue: 'NAME', summary: 'Whose snapshots (default: this agent).' }),
    at: Flags.string({
      helpValue: 'TIME',
      summary: 'The newest snapshot not after this, e.g. 2026-11-20T12:00Z or 6h.',
    }),
    include: Flags.string({
      multiple: true,
      multipleNonGreedy: true,
      helpValue: 'GLOB',
      summary: 'Only what matches.',
    }),
    exclude: Flags.string({ multiple: true, multipleNonGreedy: true, helpValue: 'GLOB', summary: 'Not what matches.' }),
    from: Flags.option({ options: ['auto', 'local', 'peers', 's3'] as const, default: 'auto' as const })({
      summary: 'Where the bytes may come from.',
    }),
    estimate: Flags.boolean({ summary: 'Only say what would be read from where.' }),
    'wait-thaw': Flags.string({
      helpValue: 'D',
      summary: 'Wait this long for archived data (no effect yet: nothing is stored in archive classes).',
    }),
  };

  override async run(): Promise<number> {
    const { args, flags } = await this.read(Restore);
    const estimate = flags.estimate || flags['dry-run'];
    if (flags.delete && !estimate) {
      await confirm(this.session, this.globals, `Remove what ${args.snapshot} does not have from the root in place?`);
    }
    return await this.perform<RestoreData>({
      operation: 'restore',
      input: {
        snapshot: args.snapshot,
        target: flags.target === undefined ? undefined : absolutePath(flags.target),
        inPlace: flags['in-place'],
        overwrite: flags.overwrite,
        delete: flags.delete,
        root: flags.root,
        agent: flags.agent,
        at: flags.at,
        include: flags.include ?? [],
        exclude: flags.exclude ?? [],
        from: flags.from,
        estimate,
        waitThaw: flags['wait-thaw'],
      },
      text: renderRestore,
      onlyReports: !estimate,
    });
  }
}
