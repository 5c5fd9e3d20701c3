/** `tier status`. */
import { tierStatus as lookAtTiers } from '@edgestore/engine';
import { z } from 'zod';
import { openedOf } from './opened.ts';
import { defineOperation } from './operation.ts';
import type { TierStatusData } from './tier-data.ts';
import { demoteDeps, tierInput } from './tier-input.ts';

const input = z.object({});

export const tierStatus = defineOperation<object, TierStatusData>({
  name: 'tier.status',
  input,
  mutates: false,
  run: async (_input, context) => {
    const { rows, metaBytes, notes } = await lookAtTiers(
      tierInput(openedOf(context)),
      demoteDeps(context),
      context.signal,
    );
    const tiers = rows.map(({ tier, where, chunks, bytes }) => ({
      tier,
      where: where.place === 'store' ? `store ${where.store}` : where.place,
      chunks,
      bytes,
    }));
    return { data: { tiers, meta_bytes: metaBytes, notes } };
  },
});
