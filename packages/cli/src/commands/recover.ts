import * as Flags from '@oclif/core/flags';
import { EdgestoreCommand } from '../base-command.ts';
import { dryRunFlag } from '../global-flags.ts';
import { readRecoveryText } from '../program/read-recovery-text.ts';
import { type RecoverData, renderRecover } from '../render/recover.ts';

export default class Recover extends EdgestoreCommand {
  static override summary = 'After a disk was lost: rebuild this agent on an empty machine.';
  static override description =
    'Needs the recovery sheet and one peer, bucket or folder that has the copies. Afterwards `restore` brings the files back.';
  static override examples = [
    '<%= config.bin %> recover --from https://dc-a.example:7420 --recovery-file sheet.txt',
    '<%= config.bin %> recover --from s3://bucket/prefix --endpoint https://s3.example',
  ];
  static override flags = {
    ...dryRunFlag,
    from: Flags.string({
      multiple: true,
      multipleNonGreedy: true,
      required: true,
      helpValue: 'URL',
      summary: 'https://peer:port, s3://bucket/prefix or file:///dir.',
    }),
    'recovery-file': Flags.string({
      helpValue: 'F',
      summary: 'The recovery sheet (else it is read from stdin or asked for).',
    }),
    agent: Flags.string({ helpValue: 'NAME', summary: 'Which agent to become, when the vault has several.' }),
    branch: Flags.string({
      helpValue: 'LINK',
      summary: 'Where two machines wrote as this agent: the end of the branch to go on from, by its first digits.',
    }),
    endpoint: Flags.string({ helpValue: 'URL', summary: 'Endpoint of an S3 that is not AWS.' }),
    region: Flags.string({ helpValue: 'R', summary: 'Region of the bucket.' }),
    'read-only': Flags.boolean({ summary: 'Only read the copies: do not take the identity over.' }),
    'no-stored-key': Flags.boolean({ summary: 'Keep no key in the data dir; every command asks for one.' }),
  };

  override async run(): Promise<number> {
    const { flags } = await this.read(Recover);
    return await this.perform<RecoverData>({
      operation: 'recover',
      input: {
        from: flags.from,
        recovery: await readRecoveryText(this.session, this.globals, flags['recovery-file']),
        agent: flags.agent,
        branch: flags.branch,
        endpoint: flags.endpoint,
        region: flags.region,
        readOnly: flags['read-only'],
        storedKey: !flags['no-stored-key'],
        dryRun: flags['dry-run'],
      },
      text: renderRecover,
    });
  }
}
