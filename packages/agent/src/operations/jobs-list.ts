/** `jobs list`. */
import { z } from 'zod';
import { jobJson } from '../http/job-json.ts';
import { requireRunning } from './agent-status.ts';
import type { JobListData } from './jobs-data.ts';
import { defineOperation } from './operation.ts';

export const jobsList = defineOperation<object, JobListData>({
  name: 'jobs.list',
  input: z.object({}),
  mutates: false,
  run: async (_input, context) => {
    const { jobs } = requireRunning(context);
    // Commands that only look are jobs too; the list is about work.
    const shown = jobs.list().filter((job) => !job.operation.startsWith('jobs.') && job.operation !== 'agent.status');
    return { data: { jobs: shown.map(jobJson) } };
  },
});
