/** `agent reload`: the running agent reads its configuration again; a wrong one changes nothing. */
import { z } from 'zod';
import type { AgentReloadData } from './agent-data.ts';
import { requireRunning } from './agent-status.ts';
import { defineOperation } from './operation.ts';
import { recordSettings } from './record-settings.ts';

/** These are read when the agent starts. */
const AT_START = [
  'agent.listen',
  'agent.api_listen',
  'agent.api_token_file',
  'agent.pack_dir',
  'agent.data_dir',
  'limits.workers',
  'limits.compression',
];

export const agentReload = defineOperation<object, AgentReloadData>({
  name: 'agent.reload',
  input: z.object({}),
  mutates: true,
  run: async (_input, context) => {
    requireRunning(context);
    const changed = await context.home.reload();
    await recordSettings(context.home);
    for (const key of changed.filter((one) => AT_START.includes(one))) {
      context.warn({ code: 'W_NEEDS_RESTART', message: `${key} takes effect when the agent starts again` });
    }
    return { data: { changed } };
  },
});
