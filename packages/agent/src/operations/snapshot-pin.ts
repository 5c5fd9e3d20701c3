/** `snapshot pin` and `snapshot unpin`: a record each. */
import { EdgeError } from '@edgestore/engine';
import { z } from 'zod';
import { mendOwnTail } from './mend-own-tail.ts';
import { openedOf } from './opened.ts';
import { defineOperation, type OperationContext } from './operation.ts';
import type { PinData } from './snapshot-data.ts';
import { findSnapshot } from './snapshot-spec.ts';

const REASON_LENGTH_MAX = 1000;

const pinInput = z.object({
  snapshot: z.string(),
  root: z.string().optional(),
  reason: z.string().max(REASON_LENGTH_MAX, `--reason has at most ${REASON_LENGTH_MAX} characters`).optional(),
  dryRun: z.boolean().default(false),
});
const unpinInput = pinInput.omit({ reason: true });

export const snapshotPin = defineOperation<z.output<typeof pinInput>, PinData>({
  name: 'snapshot.pin',
  input: pinInput as z.ZodType<z.output<typeof pinInput>>,
  mutates: true,
  run: async (input, context) => ({ data: await setPin(input, input.reason ?? '', context) }),
});

export const snapshotUnpin = defineOperation<z.output<typeof unpinInput>, PinData>({
  name: 'snapshot.unpin',
  input: unpinInput as z.ZodType<z.output<typeof unpinInput>>,
  mutates: true,
  run: async (input, context) => ({ data: await setPin(input, undefined, context) }),
});

async function setPin(
  input: z.output<typeof unpinInput>,
  reason: string | undefined,
  context: OperationContext,
): Promise<PinData> {
  if (!input.dryRun) await mendOwnTail(context.home, context);
  const opened = openedOf(context);
  const { engine } = opened;
  const row = findSnapshot(input, opened);
  if (row.agent !== engine.identity.agentId) {
    throw new EdgeError('E_USAGE', 'a snapshot is pinned by the agent that wrote it', {
      hint: 'Run the command there.',
    });
  }
  const changed = row.pinned !== reason;
  if (changed && !input.dryRun) {
    await engine.chain.append(
      reason === undefined ? { type: 'unpin', snapshot: row.id } : { type: 'pin', snapshot: row.id, reason },
    );
    opened.replicator.owe();
    context.home.running?.noteNewWork();
  }
  return { snapshot: row.id, pinned: reason !== undefined, reason: reason ?? null, changed, dry_run: input.dryRun };
}
