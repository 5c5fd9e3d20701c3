/** `key remove`. */
import { EdgeError } from '@edgestore/engine';
import { z } from 'zod';
import type { KeyRemoveData } from './key-data.ts';
import { openedOf } from './opened.ts';
import { defineOperation } from './operation.ts';

const input = z.object({ slot: z.string(), dryRun: z.boolean().default(false) });

export const keyRemove = defineOperation<z.output<typeof input>, KeyRemoveData>({
  name: 'key.remove',
  input,
  mutates: true,
  run: async ({ slot: typed, dryRun }, context) => {
    const { engine } = openedOf(context);
    const slots = context.home.slots.all().map((one) => one.slot);
    const found = slots.filter((slot) => /^[0-9a-f]+$/i.test(typed) && slot.slotId.startsWith(typed.toLowerCase()));
    const [slot] = found;
    if (slot === undefined)
      throw new EdgeError('E_NOT_FOUND', `no key slot begins with ${JSON.stringify(typed)}`, {
        hint: 'See: edgestore key list',
      });
    if (found.length > 1) {
      throw new EdgeError(
        'E_AMBIGUOUS',
        `${found.length} key slots begin with ${typed}: ${found.map((one) => one.slotId.slice(0, 12)).join(', ')}`,
      );
    }
    if (slot.type === 'recovery') {
      throw new EdgeError('E_USAGE', 'the recovery slot is not removed: without it a lost disk cannot be recovered', {
        hint: 'Remove another slot.',
      });
    }
    if (slots.filter((one) => one.type !== 'recovery').length === 1) {
      throw new EdgeError('E_USAGE', 'this is the last key slot beside the recovery sheet', {
        hint: 'Add another first: edgestore key add',
      });
    }
    if (!dryRun) {
      await context.home.slots.remove(slot.slotId, {
        adminSeed: await context.home.adminSeed(),
        nowNs: engine.clock.nowNs(),
      });
    }
    const isShared = slot.scope === 'shared';
    const { done, pending } =
      dryRun || !isShared ? { done: [], pending: [] } : await context.home.withdrawSlots(context.signal);
    return { data: { slot: slot.slotId, type: slot.type, dry_run: dryRun, withdrawn: done, pending } };
  },
});
