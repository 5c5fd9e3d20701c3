import * as Flags from '@oclif/core/flags';
import { EdgestoreCommand } from '../../base-command.ts';
import { dryRunFlag } from '../../global-flags.ts';
import { absolutePath } from '../../program/absolute-path.ts';
import { type AgentInstallData, renderAgentInstall } from '../../render/agent.ts';

export default class AgentInstall extends EdgestoreCommand {
  static override summary = 'Print the systemd unit for the agent, or write it.';
  static override examples = ['<%= config.bin %> agent install', '<%= config.bin %> agent install --write'];
  static override flags = {
    ...dryRunFlag,
    write: Flags.boolean({ summary: 'Write it (as root: /etc/systemd/system, else ~/.config/systemd/user).' }),
    output: Flags.string({ helpValue: 'FILE', summary: 'Write it to this file.', exclusive: ['write'] }),
  };

  override async run(): Promise<number> {
    const { flags } = await this.read(AgentInstall);
    return await this.perform<AgentInstallData>({
      operation: 'agent.install',
      input: {
        write: flags.write,
        output: flags.output === undefined ? undefined : absolutePath(flags.output),
        dryRun: flags['dry-run'],
      },
      text: renderAgentInstall,
    });
  }
}
