import { formatTimeNs } from '@edgestore/engine';
import type { JobData } from '../operations/jobs-data.ts';
import type { Job } from '../work/running-agent.ts';

/** A job as the API and `jobs` show it. */
export function jobJson(job: Job): JobData {
  return {
    id: job.id,
    operation: job.operation,
    state: job.state,
    started: formatTimeNs(job.startedNs),
    ended: job.endedNs === undefined ? null : formatTimeNs(job.endedNs),
    progress: job.progress === undefined ? null : { ...job.progress },
    warnings: job.warnings,
    exit_code: job.exitCode ?? null,
    error:
      job.error === undefined
        ? null
        : {
            code: job.error.code,
            message: job.error.message,
            exit: job.error.exit,
            ...(job.error.hint === undefined ? {} : { hint: job.error.hint }),
          },
  };
}
