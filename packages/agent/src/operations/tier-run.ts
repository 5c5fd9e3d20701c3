/** `tier run`: moves what is cold, verifies it there, then frees it here. */
import { applyDemote, EdgeError, planDemote, refuseWhenPutBack } from '@edgestore/engine';
import { z } from 'zod';
import { openedOf } from './opened.ts';
import { defineOperation } from './operation.ts';
import type { TierRunData } from './tier-data.ts';
import { demoteDeps, tierInput } from './tier-input.ts';
import { planData } from './tier-plan.ts';

const input = z.object({ plan: z.string().optional(), dryRun: z.boolean().default(false) });
type Input = z.output<typeof input>;

export const tierRun = defineOperation<Input, TierRunData>({
  name: 'tier.run',
  input: input as z.ZodType<Input>,
  mutates: true,
  run: async (given, context) => {
    const opened = openedOf(context);
    const { clock } = opened.engine;
    const startMs = clock.monotonicMs();
    const deps = demoteDeps(context);
    const plan = await planDemote(tierInput(opened), deps, context.signal);
    requireSame(given.plan, plan.id);
    const { plan: id, stores, put, drop, notes } = planData(plan);
    if (given.dryRun) {
      const data = {
        plan: id,
        stores,
        moved: put,
        dropped: drop,
        freed_bytes: drop.bytes,
        kept: NONE,
        notes,
        dry_run: true,
        duration_s: 0,
      };
      return { data };
    }
    refuseWhenPutBack(context.home);
    // A bucket always has the trees and the log of what lies in it, also where no agent runs to bring them.
    for (const target of context.home.replicator.targets()) {
      // The move itself asks the stores that it puts something into.
      const isAsked = target.type !== 'bucket' || plan.parts.some(({ store }) => store === target.store);
      if (!isAsked) await context.home.replicator.run(target, context.signal);
    }
    const report = await applyDemote(plan, deps, context.signal);
    const data: TierRunData = {
      plan: id,
      stores,
      moved: report.moved,
      dropped: report.dropped,
      freed_bytes: report.freedBytes,
      kept: report.kept,
      notes: [...new Set([...notes, ...report.notes])],
      dry_run: false,
      duration_s: Math.round(clock.monotonicMs() - startMs) / 1000,
    };
    // Kept is safe, but not what was asked for.
    return { data, exitCode: report.kept.chunks > 0 ? 5 : 0 };
  },
});

const NONE = { chunks: 0, bytes: 0 };

function requireSame(asked: string | undefined, planned: string): void {
  if (asked === undefined || (asked.length >= 4 && planned.startsWith(asked.toLowerCase()))) return;
  throw new EdgeError(
    'E_USAGE',
    `the plan is now ${planned.slice(0, 8)}, not ${JSON.stringify(asked.slice(0, 16))}; nothing was moved`,
    {
      hint: 'Look at it again: edgestore tier plan',
    },
  );
}
