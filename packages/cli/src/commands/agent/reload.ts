import { EdgestoreCommand } from '../../base-command.ts';
import { type AgentReloadData, renderAgentReload } from '../../render/agent.ts';

export default class AgentReload extends EdgestoreCommand {
  static override summary = 'Have the running agent read its configuration again; a wrong one changes nothing.';
  static override examples = ['<%= config.bin %> agent reload'];

  override async run(): Promise<number> {
    await this.read(AgentReload);
    return await this.perform<AgentReloadData>({
      operation: 'agent.reload',
      input: {},
      text: renderAgentReload,
      onlyReports: true,
    });
  }
}
