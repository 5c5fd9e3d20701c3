/** `root remove`: takes the root out of the configuration; its snapshots stay. */
import { EdgeError } from '@edgestore/engine';
import { nearestName } from '@edgestore/engine/nearest-name';
import { z } from 'zod';
import { removeConfigItem } from '../config/config-items.ts';
import { openedOf } from './opened.ts';
import { defineOperation } from './operation.ts';
import { recordSettings } from './record-settings.ts';
import type { RootRemovedData } from './root-data.ts';

const input = z.object({ name: z.string(), dryRun: z.boolean().default(false) });

export const rootRemove = defineOperation<z.output<typeof input>, RootRemovedData>({
  name: 'root.remove',
  input,
  mutates: true,
  run: async ({ name, dryRun }, context) => {
    const { loaded } = openedOf(context);
    const names = loaded.config.roots.map((root) => root.name);
    if (!names.includes(name)) {
      const near = nearestName(name, names);
      throw new EdgeError(
        'E_NOT_FOUND',
        `there is no root ${JSON.stringify(name)}${near === undefined ? '' : `; did you mean ${near}?`}`,
        {
          hint: names.length === 0 ? 'There are no roots.' : `Roots: ${names.join(', ')}`,
        },
      );
    }
    if (!dryRun && !removeConfigItem(loaded.dataDir, 'roots', name)) {
      const origin = loaded.origins.get(`roots.${name}`);
      const where = origin === undefined ? 'the configuration' : `${origin.file}, line ${origin.line}`;
      throw new EdgeError('E_USAGE', `the root ${name} is written in ${where}, which edgestore does not change`, {
        hint: 'Take it out there.',
      });
    }
    if (!dryRun) {
      await context.home.reload();
      await recordSettings(context.home);
    }
    return { data: { name, dry_run: dryRun } };
  },
});
