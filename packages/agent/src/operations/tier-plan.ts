/** `tier plan`: what would move, and why a file would or would not. */
import { type DemotePlan, explainTier, formatTimeNs, jsonPath, planDemote } from '@edgestore/engine';
import { z } from 'zod';
import { locate } from './locate-path.ts';
import { openedOf } from './opened.ts';
import { defineOperation } from './operation.ts';
import type { TierPlanData } from './tier-data.ts';
import { demoteDeps, tierInput } from './tier-input.ts';

const input = z.object({
  explain: z.string().optional(),
  cwd: z.string().default('/'),
  check: z.boolean().default(false),
});
type Input = z.output<typeof input>;

export const tierPlan = defineOperation<Input, TierPlanData>({
  name: 'tier.plan',
  input: input as z.ZodType<Input>,
  mutates: false,
  run: async ({ explain, cwd, check }, context) => {
    const opened = openedOf(context);
    const deps = demoteDeps(context);
    if (explain !== undefined) {
      const { row, path } = locate({ what: explain, cwd }, opened);
      const found = await explainTier({ ...tierInput(opened), snapshot: row, path }, deps, context.signal);
      return { data: { ...NOTHING, explain: { ...jsonPath(path), tier: found.tier, reasons: found.reasons } } };
    }
    const data = planData(await planDemote(tierInput(opened), deps, context.signal));
    return { data, exitCode: check && data.plan !== null ? 20 : 0 };
  },
});

export function planData(plan: DemotePlan): TierPlanData {
  return {
    plan: plan.parts.length === 0 ? null : plan.id,
    stores: [...new Set(plan.parts.flatMap((part) => part.store ?? []))],
    put: plan.put,
    drop: plan.drop,
    requests: plan.requests,
    oldest: plan.oldestNs === undefined ? null : formatTimeNs(plan.oldestNs),
    notes: plan.notes,
  };
}

const NOTHING: TierPlanData = {
  plan: null,
  stores: [],
  put: { chunks: 0, bytes: 0 },
  drop: { chunks: 0, bytes: 0 },
  requests: 0,
  oldest: null,
  notes: [],
};
