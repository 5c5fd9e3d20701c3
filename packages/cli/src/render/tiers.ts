/** Text of the `tier` commands. */
import type { RecallData, TierPlanData, TierRunData, TierStatusData } from '@edgestore/agent/operations/tier-data';
import { formatBytes, formatDuration } from '@edgestore/engine/units';
import type { TextContext } from '../base-command.ts';
import { formatCount } from '../output/numbers.ts';
import { printable } from '../output/printable.ts';
import { shortId, shownPath, shownTime, table } from './lines.ts';

export type { RecallData, TierPlanData, TierRunData, TierStatusData };

export function renderTierStatus(data: TierStatusData): string[] {
  const rows = data.tiers.map((tier) => [
    tier.tier,
    tier.where,
    formatCount(tier.chunks),
    tier.where === 'peers' ? '-' : formatBytes(tier.bytes),
  ]);
  if (rows.length === 0) return ['Nothing is stored yet.'];
  return [
    ...table(['TIER', 'WHERE', 'CHUNKS', 'BYTES'], rows, [2, 3]),
    `Trees on this disk: ${formatBytes(data.meta_bytes)}`,
    ...data.notes.map((note) => printable(note)),
  ];
}

export function renderTierPlan(data: TierPlanData, { colours }: TextContext): string[] {
  const { explain } = data;
  if (explain !== undefined) {
    return [
      `${colours.bold(shownPath(explain))}: ${explain.tier}`,
      ...explain.reasons.map((reason) => `  ${printable(reason)}`),
    ];
  }
  const notes = data.notes.map((note) => `  ${printable(note)}`);
  if (data.plan === null) return ['Nothing is cold enough to move.', ...notes];
  return [
    `plan ${colours.bold(shortId(data.plan))}`,
    `  put   ${totals(data.put)}${data.stores.length === 0 ? '' : ` to ${data.stores.join(', ')}`}, ${formatCount(data.requests)} requests`,
    `  drop  ${totals(data.drop)} here, after verifying them elsewhere`,
    ...(data.oldest === null ? [] : [`  the oldest is from ${shownTime(data.oldest)}`]),
    ...notes,
  ];
}

export function renderTierRun(data: TierRunData, { colours }: TextContext): string[] {
  const would = data.dry_run ? 'would be ' : '';
  return [
    `${totals(data.moved)} ${would}moved${data.stores.length === 0 ? '' : ` to ${data.stores.join(', ')}`}`,
    `${totals(data.dropped)} ${would}dropped here, ${formatBytes(data.freed_bytes)} freed${data.dry_run ? '' : `, in ${formatDuration(data.duration_s * 1000)}`}`,
    ...(data.kept.chunks > 0
      ? [colours.yellow(`${totals(data.kept)} kept: too few copies elsewhere could be verified`)]
      : []),
    ...data.notes.map((note) => `  ${printable(note)}`),
  ];
}

export function renderRecall(data: RecallData, { colours }: TextContext): string[] {
  return [
    `${totals(data)} ${data.dry_run ? 'would be recalled' : 'recalled'}${data.present > 0 ? `; ${formatCount(data.present)} chunks were here already` : ''}`,
    ...data.failures.map((failure) => `${colours.red('failed')}  ${printable(failure.message)}`),
  ];
}

function totals({ chunks, bytes }: { readonly chunks: number; readonly bytes: number }): string {
  return `${formatCount(chunks)} chunks, ${formatBytes(bytes)}`;
}
