import { EdgestoreCommand } from '../../base-command.ts';
import { type AgentStopData, renderAgentStop } from '../../render/agent.ts';

export default class AgentStop extends EdgestoreCommand {
  static override summary = 'Stop the running agent; it ends what it has in hand first.';
  static override examples = ['<%= config.bin %> agent stop'];

  override async run(): Promise<number> {
    await this.read(AgentStop);
    return await this.perform<AgentStopData>({
      operation: 'agent.stop',
      input: {},
      text: renderAgentStop,
      onlyReports: true,
    });
  }
}
