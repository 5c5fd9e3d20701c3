/** `key list`. */
import { z } from 'zod';
import type { KeyListData } from './key-data.ts';
import { openedOf } from './opened.ts';
import { defineOperation } from './operation.ts';
import { readVaultFiles } from './read-vault-files.ts';

const input = z.object({});

export const keyList = defineOperation<object, KeyListData>({
  name: 'key.list',
  input,
  mutates: false,
  run: async (_input, context) => {
    const { engine } = openedOf(context);
    const files = await readVaultFiles(engine.dataDir, context.warn);
    return {
      data: {
        vault: files.vaultId,
        slots: context.home.slots
          .all()
          .map(({ slot }) => ({ id: slot.slotId, type: slot.type, label: slot.label, scope: slot.scope })),
        damaged: files.damagedSlots.map(({ file, why }) => ({ file, message: why })),
      },
    };
  },
});
