/** `jobs show`. */
import { EdgeError } from '@edgestore/engine';
import { z } from 'zod';
import { jobJson } from '../http/job-json.ts';
import { requireRunning } from './agent-status.ts';
import type { JobShowData } from './jobs-data.ts';
import { defineOperation } from './operation.ts';

const input = z.object({ job: z.string().max(64) });

export const jobsShow = defineOperation<z.output<typeof input>, JobShowData>({
  name: 'jobs.show',
  input,
  mutates: false,
  run: async ({ job: id }, context) => {
    const job = requireRunning(context).jobs.find(id);
    if (job === undefined) {
      throw new EdgeError('E_NOT_FOUND', `there is no job ${JSON.stringify(id)}`, {
        hint: '`edgestore jobs list` shows those that the agent remembers.',
      });
    }
    return { data: { job: jobJson(job) } };
  },
});
