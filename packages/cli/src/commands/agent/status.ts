import { EdgestoreCommand } from '../../base-command.ts';
import { type AgentStatusData, renderAgentStatus } from '../../render/agent.ts';

export default class AgentStatus extends EdgestoreCommand {
  static override summary = 'How the running agent is; exit 4 when none is running.';
  static override examples = ['<%= config.bin %> agent status'];

  override async run(): Promise<number> {
    await this.read(AgentStatus);
    return await this.perform<AgentStatusData>({
      operation: 'agent.status',
      input: {},
      text: renderAgentStatus,
    });
  }
}
