/** `root list`. */
import { formatTimeNs } from '@edgestore/engine';
import { z } from 'zod';
import { openedOf } from './opened.ts';
import { defineOperation } from './operation.ts';
import type { RootListData } from './root-data.ts';
import { rootJson } from './root-json.ts';
import { rootIsPresent } from './root-present.ts';

const input = z.object({});

export const rootList = defineOperation<object, RootListData>({
  name: 'root.list',
  input,
  mutates: false,
  run: async (_input, context) => {
    const { engine, loaded } = openedOf(context);
    const snapshots = engine.index.log.snapshots({ agent: engine.identity.agentId }).filter((row) => !row.branch);
    const roots = loaded.config.roots.map((root) => {
      const last = snapshots.findLast((row) => row.body.root === root.name);
      return {
        ...rootJson(root, loaded),
        present: rootIsPresent(root.path, context.warn),
        last_snapshot:
          last === undefined
            ? null
            : {
                id: last.id,
                time: formatTimeNs(last.body.timeNs),
                files: last.body.stats.files,
                bytes: last.body.stats.bytes,
              },
      };
    });
    return { data: { roots } };
  },
});
