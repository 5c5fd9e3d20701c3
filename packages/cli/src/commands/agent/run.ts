import { EdgestoreCommand } from '../../base-command.ts';
import { runAgentInForeground } from '../../client/run-agent.ts';

export default class AgentRun extends EdgestoreCommand {
  static override summary = 'Run the agent in the foreground: watch, capture, replicate, serve peers.';
  static override examples = ['<%= config.bin %> agent run'];

  override async run(): Promise<number> {
    await this.read(AgentRun);
    return await runAgentInForeground(this.session, this.globals);
  }
}
