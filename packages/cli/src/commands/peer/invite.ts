import * as Flags from '@oclif/core/flags';
import { EdgestoreCommand } from '../../base-command.ts';
import { dryRunFlag } from '../../global-flags.ts';
import { type InviteData, renderInvite } from '../../render/peers.ts';

export default class PeerInvite extends EdgestoreCommand {
  static override summary = 'Make a token with which another machine joins the vault.';
  static override description =
    'The token holds the address, the pin and a one-time secret, never the key. It is printed once.';
  static override examples = [
    '<%= config.bin %> peer invite --role holder',
    '<%= config.bin %> peer invite --role edge --uses 3 --expires 1h',
  ];
  static override flags = {
    ...dryRunFlag,
    role: Flags.option({ options: ['edge', 'holder', 'reader'] as const, required: true })({
      summary: 'What the new agent does.',
    }),
    uses: Flags.integer({ helpValue: 'N', default: 1, min: 1, max: 1000, summary: 'How many machines may use it.' }),
    expires: Flags.string({ helpValue: 'D', default: '1h', summary: 'How long it can be used.' }),
  };

  override async run(): Promise<number> {
    const { flags } = await this.read(PeerInvite);
    return await this.perform<InviteData>({
      operation: 'peer.invite',
      input: { role: flags.role, uses: flags.uses, expires: flags.expires, dryRun: flags['dry-run'] },
      text: renderInvite,
    });
  }
}
