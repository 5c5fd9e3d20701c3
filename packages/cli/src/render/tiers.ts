/** Text of the `tier` commands. */
import type { RecallData, TierPlanData, TierRunData, TierStatusData } from '@edgestore/agent/operations/tier-data';
import { formatBytes, formatDuration } from '@edgestore/engine/units';
import type { TextContext } from '../base-command.ts';
import { formatCount } from '../output/numbers.ts';
import { printable } from '../output/printable.ts';
import { shortId, shownPath, shownTime, table } from './lines.ts';

export type { RecallData, TierPlanData, TierRunData, TierStatusData };

export function renderTierStatus(data: TierStatusData): string[] {
  const rows = data.tiers.map((tier) => [tier.tier, tier.where, formatCount(tier.chunks), formatBytes(tier.bytes)]);
  return [...table(['TIER', 'WHERE', 'CHUNKS', 'BYTES'], rows, [2, 3]), ...data.notes.map(printable)];
}

export function renderTierPlan(data: TierPlanData, { colours }: TextContext): string[] {
  if (data.explain !== undefined) {
    const { explain } = data;
    return [
      `${colours.bold(shownPath(explain))}: ${explain.tier}`,
      ...explain.reasons.map((reason) => `  ${printable(reason)}`),
    ];
  }
  if (data.plan === null) return data.notes.length > 0 ? data.notes.map(printable) : ['Nothing is old enough to move.'];
  const lines = [
    `plan ${colours.bold(shortId(data.plan))}: ${formatCount(data.chunks)} chunks, ${formatBytes(data.bytes)} to ${data.store}, ${formatCount(data.requests)} requests`,
    ...data.notes.map((note) => `  ${printable(note)}`),
  ];
  if (data.oldest !== null) lines.push(`  the oldest is from ${shownTime(data.oldest)}`);
  return lines;
}

export function renderTierRun(data: TierRunData): string[] {
  const verb = data.dry_run ? 'would move' : 'moved';
  return [
    `${verb} ${formatCount(data.moved.chunks)} chunks, ${formatBytes(data.moved.bytes)}${data.store === null ? '' : ` to ${data.store}`}`,
    `  ${formatBytes(data.freed_bytes)} ${data.dry_run ? 'would be ' : ''}freed here, in ${formatDuration(1000 * data.duration_s)}`,
    ...data.notes.map((note) => `  ${printable(note)}`),
  ];
}

export function renderRecall(data: RecallData): string[] {
  const verb = data.dry_run ? 'would be recalled' : 'recalled';
  return [
    `${formatCount(data.chunks)} chunks, ${formatBytes(data.bytes)} ${verb}${data.present > 0 ? `; ${formatCount(data.present)} were here already` : ''}`,
  ];
}
