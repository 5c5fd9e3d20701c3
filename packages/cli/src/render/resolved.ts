/** Says what `latest` was. */
import type { ResolvedSnapshot } from '@edgestore/agent/operations/snapshot-spec';
import { shortId, shownTime } from './lines.ts';

/** One line when the snapshot was not typed as an id. */
export function latestNote(typed: string | undefined): (data: Partial<ResolvedSnapshot>) => string[] {
  return ({ snapshot, root, time }) =>
    typed !== undefined && /^latest(:|$)/.test(typed) && snapshot !== undefined
      ? [`latest is ${shortId(snapshot)} of ${root}, ${shownTime(time)}`]
      : [];
}
