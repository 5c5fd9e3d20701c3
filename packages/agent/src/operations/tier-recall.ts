/** `tier recall`: brings chunks of a path back into the local packs. */
import { applyRecall, planRecall } from '@edgestore/engine';
import { z } from 'zod';
import { locate } from './locate-path.ts';
import { openedOf } from './opened.ts';
import { defineOperation } from './operation.ts';
import { snapshotFlags } from './snapshot-spec.ts';
import type { RecallData } from './tier-data.ts';
import { demoteDeps } from './tier-input.ts';

const input = z.object({ path: z.string(), cwd: z.string(), ...snapshotFlags, dryRun: z.boolean().default(false) });
type Input = z.output<typeof input>;

export const tierRecall = defineOperation<Input, RecallData>({
  name: 'tier.recall',
  input: input as z.ZodType<Input>,
  mutates: true,
  run: async (given, context) => {
    const opened = openedOf(context);
    const { engine } = opened;
    const { row, path } = locate({ ...given, what: given.path }, opened);
    const deps = { ...demoteDeps(context), chunks: engine.chunks, sessions: engine.index.chunks };
    const plan = await planRecall({ body: row.body, path }, deps, context.signal);
    if (given.dryRun) {
      return {
        data: { chunks: plan.chunks.length, bytes: plan.bytes, present: plan.present, failures: [], dry_run: true },
      };
    }
    const { chunks, bytes, failures } = await applyRecall(plan, deps, context.signal);
    const data = {
      chunks,
      bytes,
      present: plan.present,
      failures: failures.map(({ code, message }) => ({ code, message })),
      dry_run: false,
    };
    return { data, exitCode: failures.length === 0 ? 0 : 3 };
  },
});
