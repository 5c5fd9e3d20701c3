/** `agent stop`: the running agent ends what it has in hand, and itself. */
import { z } from 'zod';
import type { AgentStopData } from './agent-data.ts';
import { requireRunning } from './agent-status.ts';
import { defineOperation } from './operation.ts';

export const agentStop = defineOperation<object, AgentStopData>({
  name: 'agent.stop',
  input: z.object({}),
  mutates: true,
  run: async (_input, context) => {
    requireRunning(context).stop();
    return { data: { pid: process.pid } };
  },
});
