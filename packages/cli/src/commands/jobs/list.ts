import { EdgestoreCommand } from '../../base-command.ts';
import { type JobListData, renderJobs } from '../../render/jobs.ts';

export default class JobsList extends EdgestoreCommand {
  static override summary = 'List what the running agent does and did.';
  static override examples = ['<%= config.bin %> jobs list'];

  override async run(): Promise<number> {
    await this.read(JobsList);
    return await this.perform<JobListData>({
      operation: 'jobs.list',
      input: {},
      text: renderJobs,
    });
  }
}
