import * as Flags from '@oclif/core/flags';
import { EdgestoreCommand } from '../../base-command.ts';
import { dryRunFlag } from '../../global-flags.ts';
import { readToken } from '../../program/read-token.ts';
import { type JoinData, renderJoin } from '../../render/peers.ts';

export default class PeerJoin extends EdgestoreCommand {
  static override summary = 'Join a vault with a token; on an empty data dir, become an agent of it.';
  static override description = 'The token comes by stdin, at the prompt, or from a file.';
  static override examples = [
    '<%= config.bin %> peer join --token-file token.txt --name dc-a --site dc-a',
    '<%= config.bin %> peer join <token.txt',
  ];
  static override flags = {
    ...dryRunFlag,
    'token-file': Flags.string({ helpValue: 'F', summary: 'The file that has the token.' }),
    name: Flags.string({ helpValue: 'NAME', summary: "The new agent's name (default: the host's)." }),
    site: Flags.string({ helpValue: 'SITE', summary: "The new agent's site (default: default)." }),
    listen: Flags.string({ helpValue: 'HOST:PORT', summary: 'Where the new agent will listen for others.' }),
    'no-stored-key': Flags.boolean({ summary: 'Keep no key in the data dir; every command asks for one.' }),
  };

  override async run(): Promise<number> {
    const { flags } = await this.read(PeerJoin);
    const token = await readToken(this.session, this.globals, flags['token-file']);
    return await this.perform<JoinData>({
      operation: 'peer.join',
      input: {
        token,
        name: flags.name,
        site: flags.site,
        listen: flags.listen,
        storedKey: !flags['no-stored-key'],
        dryRun: flags['dry-run'],
      },
      text: renderJoin,
      onlyReports: true,
    });
  }
}
