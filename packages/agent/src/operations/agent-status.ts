/** `agent status`. */
import { EdgeError } from '@edgestore/engine';
import { z } from 'zod';
import { VERSION } from '../program.ts';
import type { RunningAgent } from '../work/running-agent.ts';
import type { AgentStatusData } from './agent-data.ts';
import { defineOperation, type OperationContext } from './operation.ts';

export const agentStatus = defineOperation<object, AgentStatusData>({
  name: 'agent.status',
  input: z.object({}),
  mutates: false,
  run: async (_input, context) => {
    const running = requireRunning(context);
    const { identity, clock, vault } = context.home.engine;
    return {
      data: {
        name: identity.name,
        agent: identity.agentId,
        site: identity.site,
        vault: vault.vaultId,
        version: VERSION,
        pid: process.pid,
        uptime_s: Number((clock.nowNs() - running.startedNs) / 1_000_000_000n),
        listen: running.listens ?? null,
        rss_bytes: process.memoryUsage.rss(),
        watching: running.watching(),
        jobs_running: running.jobs.list().filter((job) => job.state === 'running' && job.operation !== 'agent.status')
          .length,
        workers: running
          .workers()
          .map(({ name, state, lastError }) => ({ name, state, last_error: lastError ?? null })),
      },
    };
  },
});

/** E_AGENT_UNREACHABLE when the operation does not run in an agent. */
export function requireRunning({ home }: OperationContext): RunningAgent {
  if (home.running !== undefined) return home.running;
  throw new EdgeError('E_AGENT_UNREACHABLE', `no agent is running on ${home.dataDir.path}`, {
    hint: 'Start it with `edgestore agent run`.',
  });
}
