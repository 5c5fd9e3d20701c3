import * as Args from '@oclif/core/args';
import { EdgestoreCommand } from '../../base-command.ts';
import { type JobShowData, renderJob } from '../../render/jobs.ts';

export default class JobsShow extends EdgestoreCommand {
  static override summary = 'One job of the running agent.';
  static override examples = ['<%= config.bin %> jobs show 12'];
  static override args = { job: Args.string({ required: true, description: "the job's id" }) };

  override async run(): Promise<number> {
    const { args } = await this.read(JobsShow);
    return await this.perform<JobShowData>({
      operation: 'jobs.show',
      input: { job: args.job },
      text: renderJob,
    });
  }
}
