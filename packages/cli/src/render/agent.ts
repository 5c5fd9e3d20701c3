/** Text of the `agent` commands. */
import type {
  AgentInstallData,
  AgentReloadData,
  AgentStatusData,
  AgentStopData,
} from '@edgestore/agent/operations/agent-data';
import { formatBytes, formatDuration } from '@edgestore/engine/units';
import type { TextContext } from '../base-command.ts';
import { printable } from '../output/printable.ts';
import { facts, shortId } from './lines.ts';

export type { AgentInstallData, AgentReloadData, AgentStatusData, AgentStopData };

export function renderAgentStatus(data: AgentStatusData, { colours }: TextContext): string[] {
  return [
    `agent ${colours.bold(printable(data.name))} is ${colours.green('running')} (process ${data.pid}, for ${formatDuration(1000 * data.uptime_s)})`,
    ...facts([
      ['id', shortId(data.agent)],
      ['site', printable(data.site)],
      ['version', data.version],
      ['listens on', data.listen === null ? undefined : printable(data.listen)],
      ['memory', data.rss_bytes === null ? undefined : formatBytes(data.rss_bytes)],
      ['watching', data.watching.length === 0 ? undefined : data.watching.map((name) => printable(name)).join(', ')],
      ['jobs', data.jobs_running === 0 ? undefined : `${data.jobs_running} running`],
    ]),
  ];
}

export function renderAgentReload(data: AgentReloadData): string[] {
  return ['The configuration was read again.', ...data.changed.map((what) => `  ${printable(what)}`)];
}

export function renderAgentStop(data: AgentStopData): string[] {
  return [`The agent (process ${data.pid}) has stopped.`];
}

export function renderAgentInstall(data: AgentInstallData): string[] {
  return data.written === null
    ? data.unit.trimEnd().split('\n')
    : [`Written: ${printable(data.written)}`, ...data.next.map((line) => `  ${line}`)];
}
