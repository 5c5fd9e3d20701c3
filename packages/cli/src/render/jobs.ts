/** Text of the `jobs` commands. */
import type { JobData, JobListData, JobShowData } from '@edgestore/agent/operations/jobs-data';
import type { TextContext } from '../base-command.ts';
import { printable } from '../output/printable.ts';
import { facts, shownTime, table } from './lines.ts';

export type { JobListData, JobShowData };

export function renderJobs({ jobs }: JobListData): string[] {
  if (jobs.length === 0) return ['No jobs.'];
  return table(
    ['JOB', 'WHAT', 'STATE', 'STARTED', 'ENDED'],
    jobs.map((job) => [job.id, job.operation, stateOf(job), shownTime(job.started), shownTime(job.ended)]),
  );
}

export function renderJob({ job }: JobShowData, { colours }: TextContext): string[] {
  return [
    `job ${colours.bold(job.id)}: ${job.operation}`,
    ...facts([
      ['state', stateOf(job)],
      ['started', shownTime(job.started)],
      ['ended', job.ended === null ? undefined : shownTime(job.ended)],
      ['progress', job.progress === null ? undefined : printable(JSON.stringify(job.progress))],
      ['error', job.error === null ? undefined : `${printable(job.error.message)} (${job.error.code})`],
    ]),
  ];
}

function stateOf(job: JobData): string {
  return job.exit_code === null || job.exit_code === 0 ? job.state : `${job.state} (exit ${job.exit_code})`;
}
